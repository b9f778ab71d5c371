"""Tables that runs start from: images and splits."""

from __future__ import annotations

import pyarrow as pa

from finecal.schemas import columns
from finecal.schemas.columns import INT32, TEXT, bytes_column, column

# The column `file` is there where the images were decoded from files.
IMAGES = pa.schema(
    [
        columns.DATASET,
        columns.DOMAIN,
        column("sample", INT32, "number of the sample, from 0"),
        columns.CLASS,
        columns.SUBSET,
        column(
            "file",
            TEXT,
            "the file that the sample was decoded from, as it was called when the images were prepared: relative to "
            "the domain's folder or to that of its list (to the folder that both have in common where test images have "
            "a place of their own), absolute where it lies elsewhere; only where images are decoded from files",
        ),
        bytes_column(
            "pixels",
            "uint8 values in C order; the shape and the names of the classes are in the file's metadata",
            "H × W × channels",
        ),
    ]
)
SPLIT = pa.schema([columns.DATASET, columns.SPLIT, columns.CLASS, columns.CLASS_NAME, columns.GROUP])
