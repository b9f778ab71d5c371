"""Write the calibrated classifier as an ONNX file, and run it."""

from __future__ import annotations

import importlib.util
import json
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from finecal.errors import UserError
from finecal.export.folder import preprocessing
from finecal.models.build import Architecture

NEEDS = ("onnx", "onnxscript", "onnxruntime")
NAME = "model.onnx"
OPSET = 18
# A file in the format of Protocol Buffers has at most 2 GiB; a larger model keeps its weights in a file beside it. The
# rest is for the graph and for constants, such as tables of positions.
LARGEST = 2**31 - 2**27
TERMINAL_CODE = re.compile(r"\x1b\[[0-9;]*m")
SUMMARY = "## Exception summary"


def find_missing_packages() -> list[str]:
    """List the packages of the extra `export` that are not installed."""
    return [name for name in NEEDS if importlib.util.find_spec(name) is None]


def write_onnx(path: Path, model: nn.Module, description: Architecture) -> None:
    """Write the classifier: input `images` (N, channels, H, W), normalised; output `logits` (N, C).

    Its metadata holds the class names and the preprocessing. The weights are in the file, or, if they are too many for
    one, in a second file beside it with `.data` after its name.

    Raises
    ------
    UserError
        If torch cannot express the model in ONNX, or what it writes is not valid.
    """
    import onnx

    example = torch.zeros(2, description.channels, description.image_size, description.image_size)
    in_two_files = count_bytes(model) > LARGEST
    try:
        with warnings.catch_warnings(), _plain_attention(model):
            # torch's exporter calls its own deprecated code.
            warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)
            torch.onnx.export(
                model, (example,), str(path), input_names=["images"], output_names=["logits"], dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},), external_data=in_two_files,
                opset_version=OPSET, verbose=False,
            )  # fmt: skip
    except torch.onnx.errors.OnnxExporterError as error:
        raise UserError(
            f"torch cannot write {description.model!r} as ONNX ({reason(error)})", hint="Use --no-onnx"
        ) from error
    written = onnx.load(path, load_external_data=False)
    beside = path.with_name("calibration.json")
    stored = json.loads(beside.read_text("utf-8")).get("stored") if beside.is_file() else None
    steps = {**({"stored": stored} if stored else {}), **preprocessing(description)}
    keys = {"classes": description.classes, "preprocessing": steps}
    onnx.helper.set_model_props(written, {key: json.dumps(value, ensure_ascii=False) for key, value in keys.items()})
    onnx.save(written, path)
    try:
        onnx.checker.check_model(str(path))  # by its path, so that it finds the second file
    except onnx.checker.ValidationError as error:
        raise UserError(
            f"what torch writes of {description.model!r} is no valid ONNX ({reason(error)})", hint="Use --no-onnx"
        ) from error


def count_bytes(model: nn.Module) -> int:
    """Return how many bytes the weights and buffers of a model take; a tensor under several names counts once."""
    tensors = [*model.parameters(), *model.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@contextmanager
def _plain_attention(model: nn.Module) -> Iterator[None]:
    """Let timm's attention layers multiply and take softmax themselves, with the same result.

    torch's exporter writes its fused attention only for queries (N, heads, tokens, D); Hiera and nest have one
    dimension more, for windows.
    """
    fused = [module for module in model.modules() if getattr(module, "fused_attn", False) is True]
    for module in fused:
        module.fused_attn = False  # type: ignore[assignment]  # timm's attribute
    try:
        yield
    finally:
        for module in fused:
            module.fused_attn = True  # type: ignore[assignment]


def reason(error: BaseException) -> str:
    """Return in one line why torch's exporter failed, without terminal codes.

    Its message begins with advice to torch's developers; the cause is the first line of its summary of exceptions.

    >>> reason(RuntimeError(f"Failed in \\x1b[96mstep 3\\x1b[0m\\n{SUMMARY}\\n\\n<class 'ValueError'>: no such size"))
    'no such size'
    """
    text = TERMINAL_CODE.sub("", str(error))
    lines = [line.strip() for line in text.partition(SUMMARY)[2].splitlines() or text.splitlines()]
    first = next((line for line in lines if line), type(error).__name__)
    return re.sub(r"^<class '[^']*'>: ", "", first)


def run_onnx(path: Path, images: np.ndarray) -> np.ndarray:
    """Compute the (N, C) logits of (N, channels, H, W) float32 images with ONNX Runtime on the CPU, in batches."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    parts = [session.run(["logits"], {"images": images[k : k + 32]})[0] for k in range(0, len(images), 32)]
    return np.concatenate(parts)
