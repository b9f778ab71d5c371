"""The device that a job computes on, and torch's settings there."""

from __future__ import annotations

import random
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import nn

from finecal.errors import UserError
from finecal.runtime import few_channels
from finecal.runtime.malloc import keep_freed_memory


def choose_device(name: str, threads: int) -> torch.device:
    """Configure torch for a job and return its device.

    Parameters
    ----------
    name
        "cpu", "cuda", or "auto": a GPU where one is visible.
    threads
        Number of CPU threads; results on the CPU are bit-identical for the same number.

    Raises
    ------
    UserError
        If "cuda" is asked for and no GPU is visible; there is no silent fallback to the CPU.
    """
    keep_freed_memory()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # no result depends on it
    visible = torch.cuda.is_available()
    if name == "cuda" and not visible:
        raise UserError(
            "device is 'cuda', but no GPU is visible to this job",
            where="config.yaml: device",
            hint="Check that the job has a GPU (CUDA_VISIBLE_DEVICES) and its driver works, or set `device: cpu`",
        )  # fmt: skip
    return torch.device("cuda" if visible and name != "cpu" else "cpu")


def describe(device: torch.device) -> str:
    """Return the name of a device for provenance and tables: the GPU's model, or "cpu"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def device_record(device: torch.device, precision: str = "auto", *, compiled: bool | None = None) -> dict[str, Any]:
    """Return, for provenance, the device's name, the precision and, of a GPU, the peak memory of tensors in MiB.

    A training gives `compiled`, whether torch compiled its model.
    """
    record: dict[str, Any] = {"device": describe(device), "precision": resolve_precision(precision, device)}
    if compiled is not None:
        record["compiled"] = compiled
    if device.type == "cuda":
        record["peak_gpu_memory_mib"] = round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
    return record


def resolve_precision(precision: str, device: torch.device) -> str:
    """Return "float32" or "bfloat16"; "auto" is bfloat16 on a GPU that supports it, else float32.

    On the CPU it is always float32: some CPUs lack instructions for bfloat16, and their results must be equal.
    """
    if precision == "auto":
        # Emulation is slower than float32.
        supported = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return "bfloat16" if supported else "float32"
    return precision


def numerics(device: torch.device, precision: str, compiled: bool) -> dict[str, Any]:
    """Return the settings that change a training's last digits, as a part of the fingerprint of its state."""
    return {"precision": resolve_precision(precision, device), "compiled": compiled}


def autocast(device: torch.device, precision: str = "auto") -> AbstractContextManager[None]:
    """Return the context for running models: float32, or bfloat16 for the operations in torch's list for autocast."""
    return torch.autocast(device.type, torch.bfloat16, enabled=resolve_precision(precision, device) == "bfloat16")


def place_model(model: nn.Module, device: torch.device) -> nn.Module:
    """Move the model to a device, in the memory layout (channels last) with which convolutions are fastest.

    Only tensors of four dimensions have that layout; `Module.to` would fail for a model with a 3D convolution. They are
    laid out by `to`, not by `contiguous`: that leaves weights of 1 × 1 or of one channel as they are, for which other
    operations are then chosen, that round differently.
    """
    model.to(device)
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.dim() == 4:
            tensor.data = tensor.data.to(memory_format=torch.channels_last)
    if device.type == "cpu":
        few_channels.lay_out(model)
    return model


def to_device(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy a CPU tensor to a device; to a GPU from pinned memory, so that the copy overlaps with its work."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch (all devices)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
