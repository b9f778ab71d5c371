"""The device a job computes on, and how torch behaves there."""

from __future__ import annotations

import random
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import nn

from finecal.errors import UserError
from finecal.runtime.malloc import keep_freed_memory


def choose_device(name: str, threads: int) -> torch.device:
    """Set torch up for a job and return its device.

    Parameters
    ----------
    name
        "cpu", "cuda", or "auto": a GPU where one is visible.
    threads
        Number of CPU threads; results on the CPU are bit-identical for the same number.

    Raises
    ------
    UserError
        If "cuda" is asked for and no GPU is visible: never silently the CPU.
    """
    keep_freed_memory()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # no result needs it
    visible = torch.cuda.is_available()
    if name == "cuda" and not visible:
        raise UserError(
            "device is 'cuda', but no GPU is visible to this job",
            where="config.yaml: device",
            hint="Check that the job got a GPU (CUDA_VISIBLE_DEVICES) and its driver works; or say `device: cpu`",
        )  # fmt: skip
    return torch.device("cuda" if visible and name != "cpu" else "cpu")


def describe(device: torch.device) -> str:
    """The name that provenance and tables give a device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def used(device: torch.device, precision: str = "auto", *, compiled: bool | None = None) -> dict[str, Any]:
    """For provenance: the device's name, the precision and, of a GPU, the most memory of tensors so far, in MiB.

    Of a training also whether the model was compiled.
    """
    record: dict[str, Any] = {"device": describe(device), "precision": resolved(precision, device)}
    if compiled is not None:
        record["compiled"] = compiled
    if device.type == "cuda":
        record["peak_gpu_memory_mib"] = round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
    return record


def resolved(precision: str, device: torch.device) -> str:
    """What `auto` means on a device: bfloat16 on a GPU that has it, else float32.

    Not on the CPU: some have no instructions for it, and results there are to be the same everywhere.
    """
    if precision == "auto":
        # Not where torch only imitates it, which is slower than float32.
        has = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return "bfloat16" if has else "float32"
    return precision


def numerics(device: torch.device, precision: str, compiled: bool) -> dict[str, Any]:
    """What a training computes with, for the fingerprint of its state: none goes on with something else."""
    return {"precision": resolved(precision, device), "compiled": compiled}


def autocast(device: torch.device, precision: str = "auto") -> AbstractContextManager[None]:
    """The context in which models run: float32, or bfloat16 where torch holds it to be precise enough."""
    return torch.autocast(device.type, torch.bfloat16, enabled=resolved(precision, device) == "bfloat16")


def placed(model: nn.Module, device: torch.device) -> nn.Module:
    """The model on a device, its weights in the order that convolutions are fastest with there."""
    return model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def sent(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Values of the CPU on a device. A GPU does not stop for them: pinned memory is copied beside its work."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch (all devices)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
