"""All readers: what each reads, how that is changed, and its share of all inputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzzing import readers, valid
from fuzzing.mutations import BINARY, JSON, TEXT, Bytes

BOTH = (*TEXT, *BINARY)
HEADER = (*BINARY, *[valid.change_header] * 4)
METADATA = (*BINARY, *[valid.change_metadata] * 4)


@dataclass(frozen=True)
class Reader:
    """A reader: the name of its file, which decides its format, valid contents, what reads it, how it is changed.

    Attributes
    ----------
    share
        Of all inputs, in parts: cheap readers have more.
    """

    name: str
    file: str
    contents: Callable[[], bytes]
    read: Callable[[Path], Any]
    changes: tuple[Bytes, ...]
    share: int


def as_json(content: Any) -> Callable[[], bytes]:
    return lambda: json.dumps(content).encode()


READERS = (
    Reader(
        "study",
        "study.yaml",
        readers.STUDY.encode,
        readers.study,
        (*TEXT, *[readers.change_study] * 6),
        40,
    ),
    Reader(
        "config.yaml",
        "config.yaml",
        valid.config,
        readers.settings,
        (*TEXT, readers.change_study),
        60,
    ),
    Reader("logits .npz", "x.npz", readers.npz, readers.logits, BINARY, 20),
    Reader("logits .npy", "x.npy", readers.npy, readers.logits, BINARY, 20),
    Reader("logits .csv", "x.csv", readers.table_of_logits("csv"), readers.logits, BOTH, 20),
    Reader("logits .parquet", "x.parquet", readers.table_of_logits("parquet"), readers.logits, BINARY, 20),
    Reader("logits .arrow", "x.arrow", readers.table_of_logits("arrow"), readers.logits, BINARY, 20),
    Reader("logits .arrow stream", "x.ipc", readers.table_of_logits("stream"), readers.logits, BINARY, 10),
    Reader("logits .safetensors", "x.safetensors", valid.logits_safetensors, readers.logits, HEADER, 20),
    Reader("logits .h5", "x.h5", readers.h5, readers.hdf5_logits, BINARY, 2),
    Reader("logits .pt", "x.pt", valid.logits_pt, readers.logits, BINARY, 10),
    Reader("list .csv", "list.csv", lambda: valid.LIST, readers.image_list, BOTH, 40),
    Reader("list .txt", "list.txt", lambda: valid.LINES, readers.image_list, BOTH, 40),
    Reader("list .parquet", "list.parquet", valid.list_parquet, readers.image_list, BINARY, 10),
    *(Reader(f"image {kind}", f"x.{kind}", valid.image(kind), readers.image, BINARY, 8) for kind in valid.IMAGES),
    Reader("checkpoint .pth", "x.pth", valid.checkpoint_pth, readers.checkpoint, BINARY, 6),
    Reader("checkpoint .safetensors", "x.safetensors", valid.checkpoint_safetensors, readers.checkpoint, HEADER, 10),
    Reader("model.safetensors", "model.safetensors", valid.own_model, readers.own_model, HEADER, 10),
    Reader("config.json of timm", "config.json", as_json(valid.TIMM_CONFIG), readers.config, JSON, 20),
    Reader(
        "config.json of transformers",
        "config.json",
        as_json(valid.TRANSFORMERS_CONFIG),
        readers.config,
        JSON,
        20,
    ),
    Reader(
        "preprocessor_config.json",
        "preprocessor_config.json",
        as_json(valid.PREPROCESSOR),
        readers.preprocessor,
        JSON,
        30,
    ),
    Reader("images.parquet", "images.parquet", valid.images_parquet, readers.packed, METADATA, 10),
    Reader("logits.parquet", "logits.parquet", valid.logits_parquet, readers.results, METADATA, 15),
    Reader("split.parquet", "split.parquet", valid.split_parquet, readers.split, BINARY, 10),
    Reader("head.parquet", "head.parquet", valid.head_parquet, readers.head, BINARY, 10),
    Reader("calibration.parquet", "calibration.parquet", valid.calibration_parquet, readers.states, BINARY, 10),
    Reader("resumable state", "state.pt", valid.state, readers.state, BINARY, 10),
    Reader("report.html", "report.html", lambda: valid.PAGE, readers.page, (*JSON[3:], valid.change_page), 20),
    Reader("measurement", "benchmark.tsv", lambda: valid.MEASUREMENT, readers.measurement, TEXT, 30),
    Reader("archive .tar.gz", "x.tar.gz", lambda: valid.archive("gz"), readers.archive, BINARY, 8),
    Reader("archive .tar", "x.tar", lambda: valid.archive(""), readers.archive, BINARY, 8),
    Reader("archive .zip", "x.zip", lambda: valid.archive("zip"), readers.archive, BINARY, 8),
    Reader("note of contents", "note", valid.note, readers.note, BOTH, 20),
    Reader("class names", "classes.txt", lambda: b"ash\nbirch\ncedar\n", readers.class_names, BOTH, 40),
    Reader("class numbers", "numbers.txt", lambda: b"0\n1\n2\n", readers.class_names, BOTH, 20),
    Reader("class order", "HT_HARDCODED.py", lambda: valid.ORDER, readers.class_order, TEXT, 20),
    Reader("publisher's list", "list.txt", lambda: valid.PUBLISHED, readers.publishers_list, BOTH, 20),
)
