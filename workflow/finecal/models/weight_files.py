"""Which files hold the weights of a checkpoint: one, or the parts that an index lists. Reads no weights."""

from __future__ import annotations

import json
import re
from pathlib import Path

from finecal.errors import UserError, counted, join_names
from finecal.models.file_kinds import OF_NAMES

FORMATS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar", ".th", ".pyth")
# transformers and accelerate divide large weights into parts, and list beside them which has which tensor.
INDEX = ".index.json"
# The names that timm and transformers write; a folder without them must have exactly one file of weights.
WRITTEN = ("model.safetensors", "pytorch_model.bin", f"model.safetensors{INDEX}", f"pytorch_model.bin{INDEX}")
SHOWN = 6  # names in an error
_PART = re.compile(r"(.+)-\d+-of-(\d+)(\.\w+)")


def is_index(file: Path) -> bool:
    """Return whether a file lists the parts of divided weights."""
    return file.name.endswith(INDEX)


def check_name(file: Path, where: str) -> None:
    """Raise UserError if a file's name is none of a checkpoint, or that of one part of divided weights."""
    if is_index(file):
        return
    if file.suffix not in FORMATS:
        known = OF_NAMES.get(file.suffix.lower())
        raise UserError(
            f"{str(file)!r} is {f'no checkpoint, but {known.what}' if known else 'no checkpoint'}", where=where,
            why=f"Its name must end in {', '.join(FORMATS)}", hint=known.hint if known else "",
        )  # fmt: skip
    if (part := _PART.fullmatch(file.name)) and int(part[2]) > 1:
        index = file.with_name(f"{part[1]}{part[3]}{INDEX}")
        raise UserError(
            f"this is one of {counted(int(part[2]), 'part')}", where=str(file),
            hint=f"Give the list of the parts, {str(index)!r}, or its folder",
        )  # fmt: skip


def parts(file: Path) -> tuple[Path, ...]:
    """Return the files with the tensors of a checkpoint: itself, or those that an index lists.

    Raises
    ------
    UserError
        If an index cannot be read, or a part is missing or in another folder.
    """
    if not is_index(file):
        return (file,)
    try:
        names = sorted(set(json.loads(file.read_text("utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            "it does not say which part has which tensor", where=str(file),
            why=f"`weight_map` is needed, a mapping of tensors to files ({type(error).__name__}: {error})",
        ) from error  # fmt: skip
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or Path(name).suffix not in FORMATS:
            raise UserError(f"{name!r} is no file of weights in the same folder", where=str(file))
    missing = [name for name in names if not file.with_name(name).is_file()]
    if missing or not names:
        said = f"it lacks {len(missing)} of {counted(len(names), 'part')}: {', '.join(missing)}"
        raise UserError(said, where=str(file))
    return tuple(file.with_name(name) for name in names)


def find_weights(folder: Path, where: str) -> Path:
    """Return the file of weights of a folder: the one that timm or transformers calls so, an index, or the only one.

    Raises
    ------
    UserError
        If there is none, or more than one.
    """
    for name in WRITTEN:
        if (folder / name).is_file():
            parts(folder / name)
            return folder / name
    found = sorted(file for file in folder.iterdir() if file.suffix in FORMATS)
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        divided = any(_PART.fullmatch(file.name) for file in found)
        raise UserError(
            f"the folder {str(folder)!r} needs one file of weights", where=where,
            why=f"It has {names}; timm's names are {' and '.join(WRITTEN[:2])}",
            hint=f"Parts need the list of them, {WRITTEN[2]}" if divided else "",
        )  # fmt: skip
    check_name(found[0], where)
    return found[0]


# What other trainers leave in a folder → what it is, and how one file is made of it.
_TRAINERS = (
    (
        "*.distcp", "a distributed checkpoint of torch",
        "`python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER weights.pth` makes one file",
    ),
    ("*zero_pp_rank*", "a checkpoint of DeepSpeed", "`zero_to_fp32.py` beside it makes one file"),
    ("global_step*", "a checkpoint of DeepSpeed", "`zero_to_fp32.py` in it makes one file"),
    ("adapter_config.json", "an adapter of PEFT, without the model", "Save the model after `merge_and_unload()`"),
    ("saved_model.pb", "a model of TensorFlow", "Load it into timm's model with PyTorch, and save its state_dict()"),
)  # fmt: skip


def no_config_error(folder: Path, config: str, where: str) -> UserError:
    """Return the error for a folder without a configuration: what it is, or which files and folders could be meant."""
    for pattern, what, hint in _TRAINERS:
        if any(folder.glob(pattern)):
            return UserError(f"the folder {str(folder)!r} is {what}", where=where, hint=hint)
    inside = sorted(file.name for file in folder.iterdir() if file.suffix in FORMATS)
    below = sorted(file.parent.name for file in folder.glob(f"*/{config}"))
    below = below or sorted({file.parent.name for name in WRITTEN for file in folder.glob(f"*/{name}")})
    hint = f"Of another folder, give the file in it{f': {join_names(inside, SHOWN)}' if inside else ''}"
    if below and not inside:
        hint = f"Folders in it have weights: {join_names(below, SHOWN)}"
    return UserError(
        f"the folder {str(folder)!r} has no {config}", where=where,
        why="Folders are those of timm (`timm.models.save_for_hf`), transformers and `finecal export`", hint=hint,
    )  # fmt: skip
