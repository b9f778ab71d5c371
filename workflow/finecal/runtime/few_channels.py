"""Convolutions of 1 × 1 pixels that skip pixels and see few channels, as at the start of FastViT and MobileOne.

For their gradients torch 2.13 writes to memory that is not its own, on processors without AVX-512 and with the channels
last: a training ends with "double free or corruption", or worse, does not. In torch's usual layout they are right.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

FEW = 8  # numbers in a register of AVX2


def lay_out(model: nn.Module) -> None:
    """Let these convolutions of a model on the CPU compute with channels first where gradients are wanted."""
    if torch.backends.cpu.get_cpu_capability() == "AVX512":
        return
    for conv in (module for module in model.modules() if isinstance(module, nn.Conv2d)):
        if conv.kernel_size == (1, 1) and max(conv.stride) > 1 and conv.in_channels < FEW:
            # Not `contiguous`, which leaves weights of 1 × 1 as they are.
            conv.weight.data = conv.weight.data.clone(memory_format=torch.contiguous_format)
            if _channels_first not in conv._forward_pre_hooks.values():
                conv.register_forward_pre_hook(_channels_first)


def _channels_first(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
    return (inputs[0].contiguous(), *inputs[1:]) if torch.is_grad_enabled() else None
