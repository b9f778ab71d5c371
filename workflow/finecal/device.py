"""The device a job computes on, and how torch behaves there."""

from __future__ import annotations

import random
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch

from finecal.errors import UserError


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
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
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


def used(device: torch.device) -> dict[str, Any]:
    """For provenance: the device's name and, of a GPU, the most memory that tensors took there so far, in MiB."""
    if device.type != "cuda":
        return {"device": describe(device)}
    peak = round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
    return {"device": describe(device), "peak_gpu_memory_mib": peak}


def autocast(device: torch.device) -> AbstractContextManager[None]:
    """bfloat16 autocast on a GPU that has it; full precision on the CPU."""
    wanted = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted)


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch (all devices)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
