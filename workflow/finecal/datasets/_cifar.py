"""Read the binary archives of CIFAR-10 and CIFAR-100: one record for each image, and no code that could run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from finecal.download.spec import Files
from finecal.errors import UserError, counted

if TYPE_CHECKING:
    import numpy as np

    from finecal.data.packed import PackedImages

SIDE = 32
PIXELS = 3 * SIDE * SIDE  # planes of red, green and blue, row by row

ARCHIVES = {10: "cifar-10-binary.tar.gz", 100: "cifar-100-binary.tar.gz"}
# Folder, training files, test file, bytes of labels before the pixels (the last one counts), names of the classes.
LAYOUT = {
    10: ("cifar-10-batches-bin", [f"data_batch_{i}.bin" for i in range(1, 6)], "test_batch.bin", 1, "batches.meta.txt"),
    100: ("cifar-100-binary", ["train.bin"], "test.bin", 2, "fine_label_names.txt"),
}


def read_cifar(classes: int, files: Files) -> PackedImages:
    """Read the images of CIFAR-10 or CIFAR-100, (N, 32, 32, 3): the training samples first, then the test samples.

    Raises
    ------
    UserError
        If a file is missing, or does not have a whole number of records.
    """
    import numpy as np

    from finecal.data.packed import PackedImages

    folder, training, test, before, names = LAYOUT[classes]
    unpacked = files.extract(ARCHIVES[classes]) / folder
    parts = [_read_records(unpacked / name, before) for name in (*training, test)]
    sizes = [len(labels) for _, labels in parts]
    return PackedImages(
        pixels=np.concatenate([pixels for pixels, _ in parts]),
        labels=np.concatenate([labels for _, labels in parts]).astype(np.int32),
        test=np.repeat([*[False] * len(training), True], sizes),
        classes=tuple((unpacked / names).read_text("utf-8").split()),
    )


def _read_records(file: Path, before: int) -> tuple[np.ndarray, np.ndarray]:
    """Read pixels (N, 32, 32, 3) and labels (N,) of one file, both uint8."""
    import numpy as np

    if not file.is_file():
        raise UserError("this file is not in the archive", where=str(file.relative_to(file.parents[1])))
    content = np.fromfile(file, dtype=np.uint8)
    if content.size == 0 or content.size % (before + PIXELS):
        raise UserError(
            f"it has {counted(content.size, 'byte')}", where=str(file.relative_to(file.parents[1])),
            why=f"A record has {counted(before + PIXELS, 'byte')}",
        )  # fmt: skip
    records = content.reshape(-1, before + PIXELS)
    pixels = records[:, before:].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(pixels), records[:, before - 1]
