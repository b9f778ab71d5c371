"""Public data sets in miniature: their real archives, names, lists and tables, around a few tiny pictures.

Each function returns the files of `resources/{module}/` by their names. A class is a colour and a direction of
stripes, a domain is how bright the picture is, so that a small model has something to learn.
"""

from __future__ import annotations

import csv
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from finecal.download.spec import Files

Contents = dict[str, bytes]


def pixels(label: int, number: int, *, side: int = 24, dark: float = 0.0) -> np.ndarray:
    """(side, side, 3) uint8."""
    random = np.random.default_rng([label, number])
    rows, columns = np.mgrid[0:side, 0:side]
    angle = np.pi * (label * 0.37 % 1)
    stripes = np.sin((rows * np.sin(angle) + columns * np.cos(angle)) * (0.5 + 0.1 * (label % 5)))
    colour = np.array([(label * 53) % 200, (label * 97 + 80) % 200, (label * 31 + 140) % 200]) + 28
    picture = colour * (0.75 + 0.25 * stripes[..., None]) * (1 - dark) + random.normal(0, 12, (side, side, 3))
    return np.clip(picture, 0, 255).astype(np.uint8)


def encoded(label: int, number: int, kind: str = "JPEG", **look: Any) -> bytes:
    """A picture as a file."""
    file = io.BytesIO()
    Image.fromarray(pixels(label, number, **look)).save(file, kind)
    return file.getvalue()


def tar(members: Mapping[str, bytes], packed: str = "gz") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=f"w:{packed}") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def zipped(members: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def as_files(folder: Path, contents: Mapping[str, bytes]) -> Files:
    """What `prepare` is handed, with these downloads."""
    files = Files(folder / "resources", folder / "scratch")
    files.folder.mkdir(parents=True)
    files.scratch.mkdir()
    for name, content in contents.items():
        files.path(name).write_bytes(content)
    return files


def _table(rows: Sequence[Mapping[str, Any]], delimiter: str = ",") -> bytes:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def _mat(**arrays: np.ndarray) -> bytes:
    from scipy.io import savemat

    file = io.BytesIO()
    savemat(file, arrays)
    return file.getvalue()


# VTAB


def caltech101(per_class: int = 8) -> Contents:
    names = ("BACKGROUND_Google", "Faces", "Faces_easy", "ceiling_fan", "yin_yang")
    inner = {
        f"101_ObjectCategories/{name}/image_{i:04d}.jpg": encoded(label, i)
        for label, name in enumerate(names)
        for i in range(1, per_class + 1)
    }
    outer = {"caltech-101/101_ObjectCategories.tar.gz": tar(inner), "caltech-101/Annotations.tar": tar({}, "")}
    return {"caltech-101.zip": zipped({**outer, "__MACOSX/caltech-101/._Annotations.tar": b"x"})}


def cifar(
    classes: int, per_class: int = 12, names: Sequence[str] = ("apple", "aquarium_fish", "baby", "bear")
) -> Contents:
    """Make a miniature of CIFAR-100 if `classes` is 100, else of CIFAR-10."""

    def records(start: int) -> bytes:
        done = b""
        for i in range(start, start + per_class):
            for label in range(len(names)):
                before = bytes([7, label]) if classes == 100 else bytes([label])
                done += before + pixels(label, i, side=32).transpose(2, 0, 1).tobytes()
        return done

    listed = ("\n".join(names) + "\n").encode()
    if classes == 100:
        folder = "cifar-100-binary"
        files = {"train.bin": records(0), "test.bin": records(1000), "fine_label_names.txt": listed}
        files["coarse_label_names.txt"] = b"things\n"
    else:
        folder = "cifar-10-batches-bin"
        files = {f"data_batch_{i}.bin": records(100 * i) for i in range(1, 6)}
        files |= {"test_batch.bin": records(1000), "batches.meta.txt": listed + b"\n", "readme.html": b"<html>"}
    return {f"cifar-{classes}-binary.tar.gz": tar({f"{folder}/{name}": data for name, data in files.items()})}


def dtd(per_class: int = 3) -> Contents:
    names = ("banded", "polka-dotted", "woven")
    members = {}
    for number, part in enumerate(("train", "val", "test")):
        listed = [f"{name}/{name}_{number}{i:03d}.jpg" for name in names for i in range(per_class)]
        members |= {f"dtd/images/{file}": encoded(names.index(file.split("/")[0]), i) for i, file in enumerate(listed)}
        members[f"dtd/labels/{part}1.txt"] = "\n".join([*listed, ""]).encode()
    return {"dtd-r1.0.1.tar.gz": tar(members)}


def eurosat(per_class: int = 8) -> Contents:
    names = ("AnnualCrop", "Forest", "SeaLake")
    members = {
        f"2750/{name}/{name}_{i}.jpg": encoded(label, i)
        for label, name in enumerate(names)
        for i in range(1, per_class + 1)
    }
    return {"EuroSAT.zip": zipped(members)}


def flowers102() -> Contents:
    """Its classes are fixed: 102, each with one training, one validation and two test samples."""
    labels = np.tile(np.arange(1, 103), 4)
    numbers = np.arange(1, len(labels) + 1)
    members = {f"jpg/image_{i:05d}.jpg": encoded(int(label), i, side=12) for i, label in enumerate(labels, start=1)}
    return {
        "102flowers.tgz": tar(members),
        "imagelabels.mat": _mat(labels=labels),
        "setid.mat": _mat(trnid=numbers[:102], valid=numbers[102:204], tstid=numbers[204:]),
    }


def food101(per_class: int = 4) -> Contents:
    names = ("apple_pie", "waffles")
    lists = {
        part: {name: [f"{name}/{start + i}" for i in range(per_class)] for name in names}
        for part, start in (("train", 100), ("test", 900))
    }
    members = {f"food-101/meta/{part}.json": json.dumps(listed).encode() for part, listed in lists.items()}
    for listed in lists.values():
        for label, name in enumerate(names):
            members |= {f"food-101/images/{file}.jpg": encoded(label, i) for i, file in enumerate(listed[name])}
    return {"food-101.tar.gz": tar(members)}


def gtsrb(per_class: int = 3) -> Contents:
    """Its classes are fixed: 43."""
    training = {
        f"GTSRB/Training/{label:05d}/{i:05d}_00000.ppm": encoded(label, i, "PPM", side=16)
        for label in range(43)
        for i in range(per_class)
    }
    rows = [{"Filename": f"{i:05d}.ppm", "Width": 16, "Height": 16, "ClassId": (i * 7) % 43} for i in range(86)]
    test = {
        f"GTSRB/Final_Test/Images/{row['Filename']}": encoded(int(row["ClassId"]), 50 + i, "PPM", side=16)
        for i, row in enumerate(rows)
    }
    return {
        "GTSRB-Training_fixed.zip": zipped({**training, "GTSRB/Readme-Images.txt": b"signs"}),
        "GTSRB_Final_Test_Images.zip": zipped(test),
        "GTSRB_Final_Test_GT.zip": zipped({"GT-final_test.csv": _table(rows, ";")}),
    }


def pets(per_class: int = 4) -> Contents:
    names = ("Abyssinian", "american_bulldog", "Persian")
    members, lists = {}, {}
    for part, start in (("trainval", 1), ("test", 100)):
        lists[part] = [f"{name}_{start + i} {n} 1 1" for n, name in enumerate(names, 1) for i in range(per_class)]
        members |= {
            f"images/{line.split()[0]}.jpg": encoded(int(line.split()[1]), i) for i, line in enumerate(lists[part])
        }
    listed = {f"annotations/{part}.txt": "\n".join([*lines, ""]).encode() for part, lines in lists.items()}
    listed |= {"annotations/list.txt": b"#Image CLASS-ID SPECIES BREED ID\n", "annotations/._test.txt": b"\0"}
    return {
        "pets-images.tar.gz": tar({**members, "images/Abyssinian_100.mat": b"no image"}),
        "pets-annotations.tar.gz": tar(listed),
    }


def resisc45(per_class: int = 6) -> Contents:
    names = ("airplane", "baseball_diamond", "sea_ice")
    files = {f"{name}_{i:03d}.jpg": label for label, name in enumerate(names) for i in range(1, per_class + 1)}
    members = {
        f"NWPU-RESISC45/{file.rpartition('_')[0]}/{file}": encoded(n, i) for i, (file, n) in enumerate(files.items())
    }
    listed = list(files)
    lists = {"train": listed[0::3], "val": listed[1::3], "test": listed[2::3]}
    texts = {f"resisc45-{part}.txt": "\n".join(names).encode() for part, names in lists.items()}
    return {"NWPU-RESISC45.zip": zipped(members), **texts}


def sun397(per_class: int = 6) -> Contents:
    names = ("/a/abbey", "/a/apartment_building/outdoor", "/z/zen_garden")
    members = {
        f"SUN397{name}/sun_{label}{i:04d}.jpg": encoded(label, i)
        for label, name in enumerate(names)
        for i in range(per_class)
    }
    return {"SUN397.tar.gz": tar({**members, "SUN397/ClassName.txt": "\n".join([*names, ""]).encode()})}


def svhn(per_class: int = 12) -> Contents:
    """The digit 0 has the label 10 in its files."""

    def part(start: int) -> bytes:
        labels = np.tile(np.arange(10), per_class)
        stacked = np.stack(
            [pixels(int(n), start + i, side=32) for i, n in enumerate(labels)], axis=-1
        )  # (32, 32, 3, N)
        return _mat(X=stacked, y=np.where(labels == 0, 10, labels)[:, None].astype(np.uint8))

    return {"train_32x32.mat": part(0), "test_32x32.mat": part(5000)}


VTAB = {
    task.__name__: task for task in (caltech101, dtd, eurosat, flowers102, food101, gtsrb, pets, resisc45, sun397, svhn)
} | {"cifar100": lambda: cifar(100)}


# Domains


def domainnet(
    domain: str, per_class: int = 8, names: Sequence[str] = ("aircraft_carrier", "bee", "t-shirt", "zebra")
) -> Contents:
    """As in the real lists, a class of the paintings has no training sample, another no test sample."""
    files = {
        f"{domain}/{name}/{domain}_{label:03d}_{i:06d}.jpg": (label, i)
        for label, name in enumerate(names)
        for i in range(per_class)
    }
    dark = 0.1 * len(domain) % 0.6
    members = {file: encoded(label, i, dark=dark) for file, (label, i) in files.items()}
    lists: dict[str, list[str]] = {"train": [], "test": []}
    for file, (label, i) in files.items():
        part = "test" if i >= per_class // 2 else "train"
        if domain == "painting" and label < 2:
            part = ("train", "test")[label]
        lists[part].append(f"{file} {label}\n")
    return {f"{domain}.zip": zipped(members)} | {
        f"{domain}_{part}.txt": "".join(lines).encode() for part, lines in lists.items()
    }


def pacs(per_class: int = 6, top: str = "kfold") -> Contents:
    names = ("dog", "elephant", "giraffe", "guitar", "horse", "house", "person")
    members = {}
    for shade, domain in enumerate(("art_painting", "cartoon", "photo", "sketch")):
        kind = ("PNG", "png") if domain == "sketch" else ("JPEG", "jpg")
        for label, name in enumerate(names):
            for i in range(per_class):
                file = f"{top}/{domain}/{name}/pic_{i:03d}.{kind[1]}"
                members[file] = encoded(label, i, kind[0], dark=0.12 * shade)
    return {"PACS.zip": zipped({**members, f"__MACOSX/{top}/photo/dog/._pic_000.jpg": b"x"})}


def iwildcam(
    sequences: int = 8,
    pictures: int = 2,
    names: Sequence[str] = ("empty", "lynx", "meleagris", "puma", "tapir", "zorro"),
) -> Contents:
    """Sequences of pictures for each split and species; the last species has few."""
    rows, members = [], {}
    number = 0
    for place, (split, dark) in enumerate({"train": 0, "id_test": 0, "id_val": 0, "test": 0.4, "val": 0.2}.items()):
        for y in range(len(names)):
            for _ in range(sequences if y < len(names) - 1 else 1):
                number += 1
                for frame in range(pictures):
                    file = f"{number:04d}{frame}-21bc-11ea-a13a.jpg"
                    rows.append(
                        {
                            "": len(rows), "split": split, "location_remapped": place, "location": place,
                            "sequence_remapped": number, "seq_id": f"s{number}", "y": y, "category_id": 10 * y,
                            "datetime": "2013-05-01 00:00:00.000", "filename": file, "seq_frame_num": frame,
                        }
                    )  # fmt: skip
                    members[f"train/{file}"] = encoded(y, 10 * number + frame, dark=dark)
    tables = {
        "metadata.csv": _table(rows),
        "categories.csv": _table([{"y": y, "category_id": 10 * y, "name": name} for y, name in enumerate(names)]),
        "RELEASE_v2.0.txt": b"2.0",
    }
    return {"iwildcam_v2.0.tar.gz": tar({**members, **tables})}
