"""A file whose name says another format than its first bytes is called by its content."""

from __future__ import annotations

from pathlib import Path

from finecal.errors import UserError
from finecal.io.outside import reading

# The first bytes, what they are, and the endings of files that begin with them.
BEGINS = (
    (b"PAR1", "Parquet", (".parquet", ".pq")),
    (b"ARROW1", "Arrow", (".feather", ".arrow", ".arrows", ".ipc")),
    (b"\x93NUMPY", "an array of numpy.save", (".npy",)),
    (b"\x89HDF", "HDF5", (".h5", ".hdf5")),
    (b"PK\3\4", "a zip archive, as of numpy.savez or torch.save", (".npz", ".pt", ".pth")),
)


def check(path: Path, ending: str) -> None:
    """Raise UserError if a file begins as one of another format than its name ends with."""
    if not path.is_file():
        return
    with reading(path, ending), path.open("rb") as file:
        first = file.read(8)
    for begin, what, endings in BEGINS:
        if first.startswith(begin) and ending not in endings and not (what.startswith("a zip") and ending in ZIPPED):
            raise UserError(
                f"its content is {what}, its name ends with {ending or 'nothing'}", where=str(path),
                hint=f"Rename it to {path.with_suffix(endings[0]).name}",
            )  # fmt: skip


ZIPPED = (".zip", ".xlsx", ".ods")  # refused by what they are
