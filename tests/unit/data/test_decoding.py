"""Image files of all kinds: decoded as people see them, or named in one error."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from finecal.data import packed
from finecal.data.decoding import BadImageError, decode, pack
from finecal.data.image_files import ImageFiles
from finecal.data.packed import read_images
from finecal.errors import UserError
from finecal.io.parquet import read_table

SIDE = 16
# Four quarters in colours that no fault mixes up: top left, top right, bottom left, bottom right.
CORNERS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200), "grey": (120, 120, 120)}


def picture(side: int = 64) -> Image.Image:
    quarters = np.array(list(CORNERS.values()), np.uint8).reshape(2, 2, 3)
    return Image.fromarray(quarters.repeat(side // 2, 0).repeat(side // 2, 1))


def seen(path: Path, side: int = SIDE) -> list[tuple[int, ...]]:
    """The colours of the four quarters, each at its middle."""
    pixels = decode(path, side)
    assert pixels.shape == (side, side, 3)
    assert pixels.dtype == np.uint8
    near, far = side // 4, 3 * side // 4
    return [tuple(int(v) for v in pixels[y, x]) for y in (near, far) for x in (near, far)]


def assert_quarters(path: Path, expected: list[tuple[int, ...]] | None = None, tolerance: int = 0) -> None:
    expected = list(CORNERS.values()) if expected is None else expected
    assert np.abs(np.array(seen(path)) - np.array(expected)).max() <= tolerance, seen(path)


def saved(folder: Path, name: str, image: Image.Image, **options: object) -> Path:
    path = folder / name
    image.save(path, **options)  # type: ignore[arg-type]
    return path


# ------------------------------------------------------------------ decoded as people see them


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.ppm", "a.jpg", "a.webp", "a.jp2", "a.avif", "a.JPG"])
def test_formats(tmp_path: Path, name: str) -> None:
    assert_quarters(saved(tmp_path, name, picture()), tolerance=0 if name[2:] in ("png", "bmp", "tif", "ppm") else 25)


def test_the_suffix_decides_nothing(tmp_path: Path) -> None:
    saved(tmp_path, "a.png", picture()).rename(tmp_path / "a.jpg")
    assert_quarters(tmp_path / "a.jpg")


# Orientation → what is to be seen of red, green / blue, grey: numbers of the corners.
TURNED = {1: [0, 1, 2, 3], 2: [1, 0, 3, 2], 3: [3, 2, 1, 0], 6: [2, 0, 3, 1], 8: [1, 3, 0, 2]}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp"])
def test_the_camera_s_orientation_is_applied(tmp_path: Path, name: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    corners = list(CORNERS.values())
    assert_quarters(saved(tmp_path, name, picture(), exif=exif), [corners[i] for i in TURNED[orientation]], 25)


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.png", Image.fromarray(np.full((9, 9), 77, np.uint8)))
    assert (decode(path, SIDE) == 77).all()
    path = saved(tmp_path, "b.png", Image.new("1", (9, 9), 1))
    assert (decode(path, SIDE) == 255).all()


def test_sixteen_bits_keep_their_brightness(tmp_path: Path) -> None:
    for name, kind in (("a.png", "<u2"), ("a.tif", "<u2"), ("b.tif", ">u2")):
        path = saved(tmp_path, name, Image.fromarray(np.full((9, 9), 0x8012, kind)))
        assert (decode(path, SIDE) == 0x80).all(), name


@pytest.mark.parametrize("maxval", [65535, 4095, 1000])
@pytest.mark.parametrize("plain", [False, True])
def test_a_pgm_with_more_than_eight_bits(tmp_path: Path, maxval: int, plain: bool) -> None:
    """The brightest value that it may have is white, half of it a middle grey."""
    for value, expected in ((0, 0), (maxval // 2, 127), (maxval, 255)):
        body = b" ".join([b"%d" % value] * 16) if plain else value.to_bytes(2) * 16
        (tmp_path / "a.pgm").write_bytes(b"P%d\n4 4\n%d\n" % (2 if plain else 5, maxval) + body)
        assert np.abs(decode(tmp_path / "a.pgm", SIDE).astype(int) - expected).max() <= 1


def test_a_transparent_grey_of_sixteen_bits(tmp_path: Path) -> None:
    grey = np.array([[0x4012, 0x4013]], np.uint16).repeat(8, 0).repeat(8, 1)
    path = saved(tmp_path, "a.png", Image.fromarray(grey), transparency=0x4012)
    assert decode(path, SIDE)[SIDE // 2, [2, -3], 0].tolist() == [255, 0x40]


@pytest.mark.parametrize("mode", ["P", "RGBA", "LA"])
def test_what_is_transparent_is_white(tmp_path: Path, mode: str) -> None:
    image = picture().convert("RGBA")
    alpha = np.full((64, 64), 255, np.uint8)
    alpha[32:, 32:] = 0
    image.putalpha(Image.fromarray(alpha))
    visible = list(CORNERS.values())[:3]
    if mode == "P":
        image = image.quantize(8)  # its palette holds the transparency
    elif mode == "LA":
        image = image.convert("LA")
        visible = [(v, v, v) for v in np.asarray(image)[[9, 9, 50], [9, 50, 9], 0].tolist()]
    assert image.mode == mode
    assert_quarters(saved(tmp_path, "a.png", image), [*visible, (255, 255, 255)])


def test_a_half_transparent_pixel_is_mixed_with_white(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.png", Image.new("RGBA", (4, 4), (0, 0, 0, 128)))
    assert (decode(path, SIDE) == 127).all()


def test_a_transparent_colour_of_an_image_without_alpha(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.png", picture(), transparency=CORNERS["grey"])
    assert_quarters(path, [*list(CORNERS.values())[:3], (255, 255, 255)])


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_cmyk(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path, name, picture().convert("CMYK"))
    assert Image.open(path).mode == "CMYK"
    assert_quarters(path, tolerance=25)


def test_of_an_animation_the_first_picture_counts(tmp_path: Path) -> None:
    later = [Image.new("RGB", (64, 64), "black")] * 2
    for name in ("a.gif", "a.webp", "a.png", "a.tif"):
        path = saved(tmp_path, name, picture(), save_all=True, append_images=later)
        assert Image.open(path).n_frames > 1  # type: ignore[attr-defined]
        assert_quarters(path, tolerance=25)


def test_stretch_keeps_everything_and_crop_the_middle(tmp_path: Path) -> None:
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 15:25] = 255
    path = saved(tmp_path, "a.png", Image.fromarray(wide))
    assert decode(path, 8)[4, :, 0].tolist()[::7] == [0, 0]
    assert decode(path, 8, "crop").min() > 0
    assert np.array_equal(decode(path, 10, "crop"), wide[:, 15:25])


def test_a_large_photograph_is_decoded_at_a_smaller_scale(tmp_path: Path) -> None:
    """The result is nearly that of the full size: what is left out would not be seen at the stored size."""
    random = np.random.default_rng(0)
    waves = np.add.outer(np.sin(np.arange(1200) / 90), np.cos(np.arange(1600) / 130))
    coloured = (waves[..., None] * 50 + 128 + random.normal(0, 8, (1200, 1600, 3))).clip(0, 255).astype(np.uint8)
    path = saved(tmp_path, "a.jpg", Image.fromarray(coloured), quality=95)
    whole = np.asarray(Image.open(path).resize((64, 64), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(decode(path, 64).astype(int) - whole).max() <= 4


# ------------------------------------------------------------------ or named


def jpeg() -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, "JPEG")
    return file.getvalue()


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)


def bomb() -> bytes:
    """A few hundred bytes that claim to be 100,000 × 100,000 pixels."""
    header = (100_000).to_bytes(4) * 2 + bytes([8, 0, 0, 0, 0])
    content = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(bytes(9999))) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


def damaged_png() -> bytes:
    file = io.BytesIO()
    picture().save(file, "PNG")
    content = bytearray(file.getvalue())
    content[content.index(b"IDAT") + 10] ^= 0xFF
    return bytes(content)


def floats() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ones((4, 4), np.float32)).save(file, "TIFF")
    return file.getvalue()


def integers() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ones((4, 4), np.int32)).save(file, "TIFF")
    return file.getvalue()


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "the file is empty"),
    "text": (lambda: b"<html>404 not found</html>", "not an image of a known format"),
    "truncated": (lambda: jpeg()[:-900], "truncated"),
    "header alone": (lambda: jpeg()[:40], "Truncated File Read"),
    "damaged": (damaged_png, "broken data stream"),
    "bomb": (bomb, "exceeds limit"),
    "32-bit integers": (integers, "its pixels are 32-bit integers, whose range of brightness is not known"),
    "floats": (floats, "its pixels are floats, whose range of brightness is not known"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_file_that_cannot_be_decoded(tmp_path: Path, fault: str) -> None:
    make, reason = BAD[fault]
    (tmp_path / "a.jpg").write_bytes(make())
    with pytest.raises(BadImageError, match=reason):
        decode(tmp_path / "a.jpg", SIDE)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    (tmp_path / "folder.jpg").mkdir()
    for name, reason in (("none.jpg", "no such file"), ("loop.jpg", "symbolic link"), ("folder.jpg", "directory")):
        with pytest.raises(BadImageError, match=reason):
            decode(tmp_path / name, SIDE)


# ------------------------------------------------------------------ packed


def listed(folder: Path, n: int = 12, **changes: object) -> ImageFiles:
    """Files of one grey level each: 0, 10, 20 …"""
    files = tuple(saved(folder, f"{i}.png", Image.new("L", (5, 5), 10 * i)) for i in range(n))
    labels = np.arange(n, dtype=np.int32) % 2
    found = {"files": files, "labels": labels, "test": np.arange(n) < n // 2, "classes": ("cat", "dog"), "size": 8}
    return ImageFiles(**{**found, "root": folder, **changes})  # type: ignore[arg-type]


def test_a_listing_is_packed_in_its_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "ROW_GROUP_BYTES", 5 * 8 * 8 * 3)
    listing = listed(tmp_path)
    contents = []
    for threads in (1, 3):
        path = tmp_path / f"{threads}.parquet"
        pack(listing, path, columns={"dataset": "pets"}, provenance={"command": "test"}, threads=threads)
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]
    found = read_images(path)
    assert found.pixels.shape == (12, 8, 8, 3)
    assert found.pixels[:, 0, 0, 0].tolist() == [10 * i for i in range(12)]
    for name in ("labels", "test"):
        assert np.array_equal(getattr(found, name), getattr(listing, name))
    table = read_table(path)
    assert table.column_names == ["dataset", "sample", "class", "subset", "file", "pixels"]
    assert table["file"].to_pylist() == [f"{i}.png" for i in range(12)]
    assert [pq.ParquetFile(path).metadata.row_group(i).num_rows for i in range(3)] == [5, 5, 2]


def test_all_files_that_cannot_be_decoded_are_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(packed, "ROW_GROUP_BYTES", 5 * 8 * 8 * 3)
    listing = listed(tmp_path, 60)
    for i in (3, 59, *range(20, 41)):
        listing.files[i].write_bytes(b"")
    listing.files[4].unlink()
    path = tmp_path / "images.parquet"
    with pytest.raises(UserError) as caught:
        pack(listing, path, columns={}, provenance={}, threads=2)
    message = str(caught.value)
    assert message.startswith(
        f"{path}: 24 of 60 files cannot be decoded: {tmp_path}/3.png (the file is empty); "
        f"{tmp_path}/4.png (no such file or directory); {tmp_path}/20.png"
    )
    assert "; and 4 more, named above. Formats: JPEG, " in message
    assert message.count(".png (") == 20
    log = capfd.readouterr().err
    assert log.count("the file is empty") == 23
    assert f"{tmp_path}/59.png: the file is empty" in log
    assert sorted(p.suffix for p in tmp_path.iterdir() if p.suffix != ".png") == []


def test_a_listing_with_a_class_without_samples(tmp_path: Path) -> None:
    path = tmp_path / "images.parquet"
    listing = listed(tmp_path, classes=("cat", "dog", "eel"))
    with pytest.raises(UserError, match="class 'eel' has no training sample"):
        pack(listing, path, columns={}, provenance={})
    pack(listed(tmp_path, classes=("cat", "dog", "eel"), complete=False), path, columns={}, provenance={})
    found = read_images(path)
    assert found.classes == ("cat", "dog", "eel")
    assert not found.complete
