"""Small valid files, written by finecal or as its users have them."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import miniatures
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import safetensors.torch
import torch
from logits_cases import CLASSES, arrays
from PIL import Image

from finecal import schemas
from finecal.errors import UserError
from finecal.paths import PROJECT
from fuzzing.mutations import change_value

BELONGS = {"options": {"lr": 0.1}}
LIST = b"file,label,subset,domain\na/1.png,cat,train,photo\na/2.png,dog,test,photo\nb/1.png,cat,train,sketch\n"
LINES = b"a/1.png 0\na/b c/2.png 1\nb/1.png 0\n"
PUBLISHED = b"photo/cat/1.png 0\nphoto/dog/1.png 1\nphoto/cat/2.png 0\n"
ORDER = b"import torch\nORDER = torch.tensor([3, 0, 2, 1])\nOTHER: list = [1, 2]\n"
PAGE = b'<html><script type="application/json" id="made-from">{"code": "1", "inputs": {}}</script></html>'
MEASUREMENT = b"s\th:m:s\tmax_rss\tmax_uss\tcpu_time\n1.5\t0:00:01\t120.25\t80.5\t1.25\n"
IMAGES = ("png", "jpg", "webp", "gif", "bmp", "tiff", "ppm")
TIMM_CONFIG = {
    "architecture": "test_resnet", "num_classes": 3, "model_args": {"drop_rate": 0.1}, "label_names": ["a", "b", "c"],
    "pretrained_cfg": {
        "input_size": [3, 32, 32], "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "crop_pct": 0.9,
        "interpolation": "bicubic", "num_classes": 3, "pool_size": [7, 7], "first_conv": "conv1", "classifier": "fc",
    },
}  # fmt: skip
TRANSFORMERS_CONFIG = {
    "model_type": "vit", "architectures": ["ViTForImageClassification"], "num_attention_heads": 3, "hidden_act": "gelu",
    "id2label": {"0": "a", "1": "b", "2": "c"}, "label2id": {"a": 0, "b": 1, "c": 2},
}  # fmt: skip
PREPROCESSOR = {"do_normalize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "size": 224}


def refused(*reads: Callable[[], Any]) -> None:
    """Call readers, each whether or not the one before has refused; raise the last refusal."""
    last: UserError | None = None
    for read in reads:
        try:
            read()
        except UserError as error:
            last = error
    if last is not None:
        raise last


def written(write: Callable[[Path], Any], name: str = "x") -> bytes:
    """What a function writes to a path."""
    with TemporaryDirectory() as folder:
        write(Path(folder, name))
        return Path(folder, name).read_bytes()


def _table() -> pa.Table:
    own = arrays(12)
    rows = [row.tolist() for row in own["logits"]]
    return pa.table({"label": own["label"], "logits": rows, "subset": own["subset"], "id": list(map(str, range(12)))})


def config() -> bytes:
    """The shipped config.yaml without its comments, which take most of the time to read."""
    lines = (PROJECT / "config.yaml").read_text("utf-8").splitlines()
    return "\n".join(line for line in lines if line and not line.startswith("#")).encode()


def table_of_logits(kind: str) -> bytes:
    file, table = io.BytesIO(), _table()
    if kind == "parquet":
        pq.write_table(table, file)
    elif kind == "arrow":
        pa.feather.write_feather(table, file, compression="uncompressed")
    elif kind == "stream":
        with pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)
    else:
        logits = arrays(12)["logits"]
        columns = {f"logit_{name}": logits[:, k] for k, name in enumerate(CLASSES)}
        pa.csv.write_csv(pa.table({"label": table["label"], "id": table["id"], **columns}), file)
    return file.getvalue()


def logits_safetensors() -> bytes:
    own = arrays(12)
    return safetensors.torch.save({name: torch.from_numpy(own[name]) for name in ("logits", "label")})


def _saved(content: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def logits_pt() -> bytes:
    own = arrays(12)
    return _saved({name: torch.from_numpy(own[name]) for name in ("logits", "label")})


def list_parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"file": ["1.png", "2.png"], "label": [0, 1], "subset": ["train", "test"]}), file)
    return file.getvalue()


def image(kind: str) -> Callable[[], bytes]:
    def make() -> bytes:
        file = io.BytesIO()
        Image.fromarray(miniatures.pixels(1, 2, side=12)).save(file, Image.registered_extensions()[f".{kind}"])
        return file.getvalue()

    return make


@cache
def _model() -> Any:
    from finecal.models.build import Architecture, build

    torch.manual_seed(0)
    described = Architecture(
        "finecal_mlp", {"hidden": 4}, ("a", "b", "c"), 1, 2, (0.5,), (0.5,), "linear", 1.0, False, 0, None
    )  # fmt: skip
    return build(described, weights="random"), described


def checkpoint_pth() -> bytes:
    return _saved({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in _model()[0].state_dict().items()}})


def checkpoint_safetensors() -> bytes:
    return safetensors.torch.save(_model()[0].state_dict())


@cache
def own_model() -> bytes:
    from finecal.models.files import save_model

    return written(lambda path: save_model(path, *_model(), provenance={"code": "1"}))


def state() -> bytes:
    from finecal.training.state import fingerprint

    return _saved({"fingerprint": fingerprint(BELONGS), "step": 3, "spent": {"wall_seconds": 1.0}, "w": torch.ones(3)})


def images_parquet() -> bytes:
    from finecal.data.packed import PackedImages, write_images

    pixels = np.stack([miniatures.pixels(label, 1, side=8) for label in (0, 1, 0, 1)])
    images = PackedImages(pixels, np.array([0, 1, 0, 1], np.int32), np.array([False, False, True, True]), ("a", "b"))
    return written(lambda path: write_images(path, images, columns={"dataset": "d", "domain": "x"}, provenance={}))


def packed_images(path: Path) -> None:
    from finecal.data.packed import read_images

    read_images(path).pixels.sum()


def _own_table(schema: pa.Schema, columns: dict[str, Any]) -> bytes:
    from finecal.io.parquet import write_table

    chosen = schemas.select(schema, *columns)
    arrays_ = [pa.array(values) if field.type == pa.null() else pa.array(values, field.type)
               for field, values in zip(chosen, columns.values(), strict=True)]  # fmt: skip
    table = pa.table(arrays_, names=list(columns))
    return written(lambda path: write_table(path, table, provenance={"code": "1", "inputs": {"a": "b"}}))


def logits_parquet() -> bytes:
    own = arrays(12)
    rows = [row.tolist() for row in own["logits"]]
    columns = {"sample": range(12), "label": own["label"], "subset": own["subset"], "logits": rows, "features": rows}
    return _own_table(schemas.LOGITS, columns)


def split_parquet() -> bytes:
    columns = {"class": range(3), "name": ["a", "b", "c"], "group": ["fine_tuning", "absent", "absent"]}
    return _own_table(schemas.SPLIT, columns)


def head_parquet() -> bytes:
    return _own_table(schemas.HEAD, {"weight": [[0.5, 1.0], [1.0, 0.0], [0.0, 2.0]], "bias": [0.0, 0.5, 1.0]})


def calibration_parquet() -> bytes:
    columns = {"calibrator": ["alg", "none"], "reads": ["train_fine_tuning", ""], "parameter": ["gamma", ""],
               "value": [1.5, 0.0]}  # fmt: skip
    names = [field.name for field in schemas.own_columns(schemas.CALIBRATION)]
    return _own_table(schemas.CALIBRATION, {name: columns.get(name, [None, None]) for name in names})


def archive(kind: str) -> bytes:
    members = {"a/1.txt": b"one" * 50, "a/b/2.txt": b"two", "3.txt": bytes(600)}
    return miniatures.zipped(members) if kind == "zip" else miniatures.tar(members, kind)


def note() -> bytes:
    from finecal.io.contents import _head

    body = b"a/1.png\x0012 34 56\x00" + b"0" * 64
    return _head(body) + b"\n" + body


def change_header(content: bytes, draw: random.Random) -> bytes:
    """Other values in the header of safetensors."""
    size = int.from_bytes(content[:8], "little")
    changed = change_value(json.loads(content[8 : 8 + size]), draw)
    header = json.dumps(changed, default=repr, skipkeys=True).encode("utf-8", "surrogatepass")
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


def change_metadata(content: bytes, draw: random.Random) -> bytes:
    """Other values in the JSON that finecal keeps in a table's metadata."""
    table = pq.read_table(io.BytesIO(content))
    own = {}
    for key, value in (table.schema.metadata or {}).items():
        if key.startswith(b"finecal"):
            entry = change_value(json.loads(value), draw)
            own[key] = json.dumps(entry, default=repr, skipkeys=True).encode("utf-8", "replace")
    file = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(own), file)
    return file.getvalue()


def change_page(content: bytes, draw: random.Random) -> bytes:
    start, end = content.index(b">{") + 1, content.index(b"}</") + 1
    changed = json.dumps(change_value(json.loads(content[start:end]), draw), default=repr, skipkeys=True)
    return content[:start] + changed.encode("utf-8", "replace") + content[end:]
