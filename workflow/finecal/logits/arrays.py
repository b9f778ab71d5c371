"""Files of arrays: .npz, .npy, .pt, .safetensors, HDF5. Nothing in them is run; each array is read when it is used."""

from __future__ import annotations

import json
import math
import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeGuard

import numpy as np
import numpy.lib.format as npy
import numpy.typing as npt

from finecal.errors import UserError
from finecal.logits import hdf5
from finecal.logits.torch_files import open_torch


def _empty(*_given: Any) -> npt.NDArray[Any]:
    """The array that a pickle starts from, whatever size it asks for; its state is read afterwards."""
    return np.empty(0, np.int8)


# All that a pickled array of text needs. Nothing else is looked up, so nothing else can run.
_OF_TEXT = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy._core.multiarray", "_reconstruct"): _empty,
    ("numpy.core.multiarray", "_reconstruct"): _empty,
}
_TYPES = {  # of safetensors
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip


@dataclass(frozen=True)
class Lazy:
    """An array of a file: shape and type at once, the values when it is turned into an array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[], npt.NDArray[Any]]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return self.read() if dtype is None else self.read().astype(dtype)


def open_arrays(path: Path, ending: str) -> Mapping[str, Any]:
    """Return the arrays of a file by name; that of an .npy, and a tensor alone in a .pt, are called logits."""
    if not path.is_file():
        raise FileNotFoundError(path)
    return _OPEN[ending](path)


def _npz(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        found = {name.removesuffix(".npy"): _member(path, name, archive) for name in names}
    return {"logits": found["arr_0"]} if list(found) == ["arr_0"] else found  # saved without a name


def _member(path: Path, name: str, archive: zipfile.ZipFile) -> Lazy:
    with archive.open(name) as stream:
        shape, _, dtype = _header(stream)

    def read() -> npt.NDArray[Any]:
        with zipfile.ZipFile(path) as again, again.open(name) as body:
            return _array(body, f"{path}: {name.removesuffix('.npy')}")

    return Lazy(shape, dtype, read)


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(stream)
    reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    found: tuple[tuple[int, ...], bool, np.dtype[Any]] = reader(stream)
    return found


def _array(stream: IO[bytes], where: str) -> npt.NDArray[Any]:
    """Read an array; one of objects only if all of them are text."""
    if not stream.seekable():
        raise OSError("cannot be read twice")
    shape, _, dtype = _header(stream)
    if not dtype.hasobject:
        stream.seek(0)
        values: npt.NDArray[Any] = npy.read_array(stream, allow_pickle=False)
        return values
    found = _TextOnly(stream, where).load()
    if not isinstance(found, np.ndarray) or not all(isinstance(value, str) for value in found.flat):
        raise UserError(
            "an array of objects that are not all text", where=where, why="Numbers need a type of their own"
        )
    return found.reshape(shape).astype(str)


class _TextOnly(pickle.Unpickler):
    """Reads an array of text; anything else in its place is refused before it is made."""

    def __init__(self, stream: IO[bytes], where: str) -> None:
        super().__init__(stream)
        self.where = where

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _OF_TEXT:
            raise UserError(
                f"an array of objects ({module}.{name})",
                where=self.where,
                why="Only arrays of numbers or text are read",
            )
        return _OF_TEXT[module, name]


def _npy(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        shape, _, dtype = _header(stream)
    if dtype.hasobject:

        def read() -> npt.NDArray[Any]:
            with path.open("rb") as body:
                return _array(body, str(path))

        return {"logits": Lazy(shape, dtype, read) if shape else read()}
    found = np.load(path, mmap_mode="r", allow_pickle=False)
    return {name: found[name] for name in found.dtype.names} if found.dtype.names else {"logits": found}


def _safetensors(path: Path) -> dict[str, Any]:
    """The format's header says where each tensor lies (https://github.com/huggingface/safetensors#format)."""
    whole = path.stat().st_size
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if not 0 < size <= whole - 8:
            raise UserError("its header is damaged", where=str(path))
        header = json.loads(file.read(size))
    if not isinstance(header, dict):
        raise UserError("its header is damaged", where=str(path))
    entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
    for name, entry in entries.items():
        _check_entry(name, entry, whole - 8 - size, str(path))
    return {name: _tensor(path, 8 + size, entry) for name, entry in entries.items()}


def _check_entry(name: str, entry: Any, room: int, where: str) -> None:
    """Raise UserError unless an entry says of which type and shape a tensor is, and lies within the file."""
    fields: dict[str, Any] = entry if isinstance(entry, dict) else {}
    kind, shape, offsets = (fields.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(kind, str) or not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise UserError(f"its header does not say where the tensor {name!r} is", where=where)
    if kind not in _TYPES:
        raise UserError(f"tensors of type {kind}", where=where, why=f"Allowed are {', '.join(_TYPES)}")
    first, last = offsets
    if not first <= last <= room or math.prod(shape) * np.dtype(_TYPES[kind]).itemsize != last - first:
        raise UserError(f"its header is damaged where it tells of the tensor {name!r}", where=where)


def _are_sizes(given: Any) -> TypeGuard[list[int]]:
    return isinstance(given, list) and all(type(number) is int and number >= 0 for number in given)


def _tensor(path: Path, start: int, entry: Mapping[str, Any]) -> Lazy:
    shape, kind = tuple(entry["shape"]), np.dtype(_TYPES[entry["dtype"]])
    first, last = entry["data_offsets"]
    half = entry["dtype"] == "BF16"

    def read() -> npt.NDArray[Any]:
        values = np.fromfile(path, kind, (last - first) // kind.itemsize, offset=start + first).reshape(shape)
        return (values.astype("<u4") << 16).view("<f4") if half else values

    return Lazy(shape, np.dtype("<f4") if half else kind, read)


def _hdf5(path: Path) -> dict[str, Any]:
    if not hdf5.is_installed():
        raise UserError("HDF5 needs h5py, which is not installed", where=str(path), hint="pip install h5py")
    return {name: Lazy(*found) for name, found in hdf5.datasets(path).items()}


_OPEN: dict[str, Callable[[Path], Mapping[str, Any]]] = {
    ".npz": _npz, ".npy": _npy, ".pt": open_torch, ".pth": open_torch, ".safetensors": _safetensors,
    ".h5": _hdf5, ".hdf5": _hdf5,
}  # fmt: skip
