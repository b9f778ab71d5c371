"""Seeded corruptions: hand-computed cases, what decides the result, and that a higher severity changes more."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from finecal.datasets import _corruptions
from finecal.datasets._corruptions import CORRUPTIONS, STRENGTHS, corrupt, corrupt_mixed

RANDOM = ("gaussian_noise", "shot_noise", "impulse_noise")


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    """(40, 32, 32, 3): pieces of a photograph, a quarter of its size."""
    photo = load_sample_image("china.jpg")[::4, ::4]
    pieces = [photo[r : r + 32, c : c + 32] for r in range(0, 96, 24) for c in range(0, 128, 13)]
    return np.stack(pieces[:40])


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_higher_severity_changes_more(photos: np.ndarray, name: str) -> None:
    errors = [np.abs(corrupt(photos, name, severity, 0) - photos.astype(float)).mean() for severity in range(1, 6)]
    assert errors[0] > 0.5  # of 255
    assert errors == sorted(set(errors))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_shape_type_and_the_pictures_themselves_stay(photos: np.ndarray, name: str) -> None:
    before = photos.copy()
    changed = corrupt(photos, name, 5, 0)
    assert (changed.shape, changed.dtype) == (photos.shape, np.uint8)
    np.testing.assert_array_equal(photos, before)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_picture_depends_on_its_number_and_the_seed_alone(
    photos: np.ndarray, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = corrupt(photos, name, 3, 7)
    np.testing.assert_array_equal(corrupt(photos[:5], name, 3, 7), whole[:5])
    monkeypatch.setattr(_corruptions, "CHUNK", 7)
    np.testing.assert_array_equal(corrupt(photos, name, 3, 7), whole)
    other = corrupt(photos, name, 3, 8)
    assert np.array_equal(other, whole) == (name not in RANDOM)


@pytest.mark.parametrize("name", RANDOM)
def test_pictures_have_noise_of_their_own(name: str) -> None:
    grey = np.full((2, 32, 32, 3), 128, np.uint8)
    first, second = corrupt(grey, name, 3, 0)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_grey_pictures_of_other_sizes_work(photos: np.ndarray, name: str) -> None:
    grey = photos[:3, :20, :, :1]
    assert corrupt(grey, name, 2, 0).shape == grey.shape


def test_gaussian_noise_has_its_deviation() -> None:
    grey = np.full((50, 32, 32, 3), 128, np.uint8)
    noise = corrupt(grey, "gaussian_noise", 3, 0).astype(float) - 128
    assert noise.std() == pytest.approx(255 * STRENGTHS["gaussian_noise"][2], rel=0.02)
    assert abs(noise.mean()) < 0.3


def test_shot_noise_has_the_variance_of_counts() -> None:
    """Poisson: the variance of value × photons counts, divided by photons²."""
    grey = np.full((50, 32, 32, 3), 128, np.uint8)
    noise = corrupt(grey, "shot_noise", 3, 0).astype(float) / 255
    assert noise.var() == pytest.approx(128 / 255 / STRENGTHS["shot_noise"][2], rel=0.03)


def test_impulse_noise_breaks_its_part_of_the_pixels() -> None:
    grey = np.full((50, 32, 32, 3), 128, np.uint8)
    broken = corrupt(grey, "impulse_noise", 4, 0)
    assert set(np.unique(broken)) == {0, 128, 255}
    assert np.mean(broken == 0) == pytest.approx(0.05, abs=0.005)
    assert np.mean(broken == 255) == pytest.approx(0.05, abs=0.005)
    assert np.all(broken == broken[..., :1])  # all channels of a pixel


def test_light_by_hand() -> None:
    picture = np.zeros((1, 2, 2, 3), np.uint8)
    picture[0, 0, 0] = (100, 140, 180)  # mean over the picture: 25, 35 and 45; grey of the pixel: 140
    np.testing.assert_array_equal(
        corrupt(picture, "contrast", 3, 0)[0, :, :, 0], [[25 + 30, 15], [15, 15]]
    )  # 0.4 times the distance to 25
    np.testing.assert_array_equal(corrupt(picture, "fading", 2, 0)[0, 0, 0], [120, 140, 160])  # half the distance
    np.testing.assert_array_equal(corrupt(picture, "fading", 5, 0)[0, 0, 0], [140, 140, 140])
    np.testing.assert_array_equal(corrupt(picture, "brightness", 5, 0)[0, 0, 0], [194, 234, 255])  # 0.37 · 255 = 94.35


def test_pixelate_takes_means_over_squares() -> None:
    picture = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1) * 10
    squares = [[25, 25, 45, 45], [25, 25, 45, 45], [105, 105, 125, 125], [105, 105, 125, 125]]
    np.testing.assert_array_equal(corrupt(picture, "pixelate", 3, 0)[0, :, :, 0], squares)


def test_blur_keeps_what_has_no_detail_and_spreads_a_point() -> None:
    flat = np.full((1, 32, 32, 3), 77, np.uint8)
    np.testing.assert_array_equal(corrupt(flat, "blur", 5, 0), flat)
    point = np.zeros((1, 32, 32, 1), np.uint8)
    point[0, 16, 16] = 255
    spread = corrupt(point, "blur", 3, 0)[0, :, :, 0].astype(float)
    assert spread[16, 16] == pytest.approx(255 / (2 * np.pi), abs=2)  # a Gaussian of width 1
    assert spread[16, 17] == pytest.approx(spread[16, 16] * np.exp(-0.5), abs=2)


def test_mixed_uses_every_corruption_and_agrees_with_each(photos: np.ndarray) -> None:
    names = list(CORRUPTIONS)
    many = np.concatenate([photos] * 4)
    mixed = corrupt_mixed(many, names, 4, 0)
    agree = np.array(
        [[np.array_equal(a, b) for a, b in zip(corrupt(many, n, 4, 0), mixed, strict=True)] for n in names]
    )
    assert agree.sum(axis=0).min() >= 1  # each picture is as one of the corruptions alone makes it
    assert agree.sum(axis=1).min() >= 5
    np.testing.assert_array_equal(corrupt_mixed(many[:9], names, 4, 0), mixed[:9])
    assert not np.array_equal(corrupt_mixed(many, names, 4, 1), mixed)
