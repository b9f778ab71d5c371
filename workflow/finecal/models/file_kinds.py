"""What a file is that was given as a checkpoint and is none: by its name's end and its first bytes."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from finecal.errors import UserError


class Kind(NamedTuple):
    """What a file is, as the end of a sentence that begins with "it is", and what helps."""

    what: str
    hint: str


CONVERT = "Load it into timm's model with PyTorch, and save its state_dict()"
UNPACK = "Unpack it, and give the file in it"
SAVE = "Save `model.state_dict()` of the PyTorch model instead"
# End of a file's name → what such files are.
OF_NAMES = {
    **dict.fromkeys((".onnx", ".ort"), Kind("an ONNX graph", SAVE)),
    **dict.fromkeys((".h5", ".hdf5", ".keras"), Kind("a file of Keras or HDF5", CONVERT)),
    **dict.fromkeys((".pb", ".index", ".meta", ".tflite"), Kind("a file of TensorFlow", CONVERT)),
    ".msgpack": Kind("a file of Flax", CONVERT),
    ".gguf": Kind("a quantised file of llama.cpp", SAVE),
    ".npz": Kind("an archive of NumPy's arrays", CONVERT),
    ".pdparams": Kind("a file of PaddlePaddle", CONVERT),
    **dict.fromkeys((".mlmodel", ".mlpackage", ".engine", ".plan"), Kind("a model compiled for a device", SAVE)),
    ".pt2": Kind("a program of `torch.export`", SAVE),
    ".mar": Kind("an archive of TorchServe", SAVE),
    **dict.fromkeys((".pkl", ".pickle"), Kind("a pickle, which could run code", SAVE)),
    **dict.fromkeys((".zip", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"), Kind("an archive", UNPACK)),
}
# First bytes of a file → what such files are.
OF_BYTES = {
    b"version https://git-lfs": Kind("a pointer of Git LFS and not the weights", "`git lfs pull` fetches them"),
    b"/annex/objects/": Kind("a pointer of git-annex and not the weights", "`git annex get` fetches them"),
    b"<!doctype html": Kind(
        "a web page", "Download the file itself; on Hugging Face its address has /resolve/, not /blob/"
    ),
    b"<html": Kind("a web page", "Download the file itself; on Hugging Face its address has /resolve/, not /blob/"),
    b"<?xml": Kind("a text in XML, such as a server's error", "Download it again"),
    b"{": Kind("a text in JSON", "Weights are in another file"),
    b"\x89hdf\r\n": OF_NAMES[".h5"],
    b"gguf": OF_NAMES[".gguf"],
    b"\x1f\x8b": OF_NAMES[".gz"],
    b"bzh": OF_NAMES[".bz2"],
    b"\xfd7zxz": OF_NAMES[".xz"],
}
TRUNCATED = Kind("truncated", "Copy or download it again")
FIRST = 32


def check_content(file: Path) -> None:
    """Raise UserError if a file's first bytes, or the names in it, are those of something else than a checkpoint."""
    try:
        with file.open("rb") as opened:
            first = opened.read(FIRST)
    except OSError:
        return  # whoever reads it says why it cannot be read
    found = _kind(file, first)
    if found is not None:
        raise UserError(f"it is {found.what}", where=str(file), hint=found.hint)


def _kind(file: Path, first: bytes) -> Kind | None:
    if not first:
        return Kind("empty", "Copy or download it again")
    lower = first.lower()
    if (known := next((kind for start, kind in OF_BYTES.items() if lower.startswith(start)), None)) is not None:
        return known
    if file.suffix == ".safetensors":
        length = int.from_bytes(first[:8], "little")
        return TRUNCATED if length < 10**8 and 8 + length > file.stat().st_size else None
    if first.startswith(b"PK"):
        return _kind_of_zip(file)
    names = _names_in_tar(file)
    return Kind("an archive", UNPACK) if names and "pickle" not in names else None  # torch's oldest format has one


def _names_in_tar(file: Path) -> list[str]:
    try:
        with tarfile.open(file, "r:") as archive:
            return archive.getnames()
    except (tarfile.TarError, OSError, EOFError, ValueError):
        return []


def _kind_of_zip(file: Path) -> Kind | None:
    """torch's own format is a zip of a pickle and the tensors; TorchScript has code in it, too."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return TRUNCATED
    except (OSError, ValueError):
        return None
    if any(name.endswith("/constants.pkl") for name in names):
        return Kind("a program of TorchScript", SAVE)
    if any(name.endswith("/data.pkl") for name in names):
        return None
    if any("/models/" in name or name.endswith("archive_format") for name in names):
        return OF_NAMES[".pt2"]
    return OF_NAMES[".npz"] if all(name.endswith(".npy") for name in names) else OF_NAMES[".zip"]
