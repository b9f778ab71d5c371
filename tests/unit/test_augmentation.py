"""Augmentation against torchvision: the same operations, the same distributions, and seeds that mean something."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as reference
from scipy.stats import chisquare, ks_2samp
from torch import Tensor
from torchvision.transforms import ColorJitter, InterpolationMode, RandomResizedCrop

from finecal import augmentation
from finecal.augmentation import (
    augment,
    brightness,
    contrast,
    crop,
    draw,
    draw_crops,
    luma,
    resize,
    saturation,
    unchanged,
)
from finecal.config import Augmentation

OFF = {"crop_scale": (1.0, 1.0), "crop_ratio": (1.0, 1.0), "horizontal_flip": 0, "color_jitter": 0, "grayscale": 0}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int = 6, size: tuple[int, int] = (20, 24), channels: int = 3) -> Tensor:
    return torch.rand(n, channels, *size, generator=generator(99))


# ------------------------------------------------------------------ single operations


@pytest.mark.parametrize("factor", [0.0, 0.3, 0.7, 1.0, 1.3, 2.0])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (brightness, reference.adjust_brightness),
        (contrast, reference.adjust_contrast),
        (saturation, reference.adjust_saturation),
    ],
)
def test_colour_operations(ours: Callable[..., Tensor], theirs: Callable[..., Tensor], factor: float) -> None:
    x = images()
    expected = torch.stack([theirs(image, factor) for image in x])
    torch.testing.assert_close(ours(x, torch.full((len(x),), factor)), expected, atol=1e-6, rtol=0)


def test_every_sample_has_its_own_factor() -> None:
    x = images(3)
    factors = torch.tensor([0.5, 1.0, 1.5])
    for ours, theirs in ((brightness, reference.adjust_brightness), (contrast, reference.adjust_contrast)):
        expected = torch.stack([theirs(image, float(f)) for image, f in zip(x, factors, strict=True)])
        torch.testing.assert_close(ours(x, factors), expected, atol=1e-6, rtol=0)


def test_luma() -> None:
    x = images()
    torch.testing.assert_close(luma(x), reference.rgb_to_grayscale(x), atol=1e-6, rtol=0)
    grey = images(channels=1)
    assert torch.equal(luma(grey), grey)


@pytest.mark.parametrize("size", [8, 32, 224])
def test_resize(size: int) -> None:
    x = images()
    expected = reference.resize(x, [size, size], InterpolationMode.BILINEAR, antialias=True)
    torch.testing.assert_close(resize(x, size), expected, atol=1e-6, rtol=0)


def test_resize_to_the_same_size_is_nothing() -> None:
    x = images(size=(32, 32))
    assert resize(x, 32) is x


# ------------------------------------------------------------------ crops


@pytest.mark.parametrize("box", [(3, 5, 12, 16), (0, 0, 20, 24), (8, 10, 7, 5), (2, 1, 16, 16)])
def test_a_crop_is_torchvisions(box: tuple[int, int, int, int]) -> None:
    """Away from the box's rim; there torchvision repeats the rim, while a crop in place sees its neighbours."""
    x, size = images(), 16
    ours = crop(x, torch.tensor([box] * len(x)), torch.zeros(len(x), dtype=torch.bool), size)
    expected = reference.resized_crop(x, *box, [size, size], InterpolationMode.BILINEAR, antialias=False)
    rim = math.ceil(size / min(box[2:]) / 2)
    inner = slice(rim, size - rim)
    torch.testing.assert_close(ours[..., inner, inner], expected[..., inner, inner], atol=1e-5, rtol=0)


def test_the_whole_image_is_itself() -> None:
    x = images(size=(32, 32))
    whole = torch.tensor([[0.0, 0.0, 32.0, 32.0]] * len(x))
    torch.testing.assert_close(crop(x, whole, torch.zeros(len(x), dtype=torch.bool), 32), x, atol=1e-5, rtol=0)
    torch.testing.assert_close(augment(x, 32, OFF, generator()), x, atol=1e-5, rtol=0)


def test_flips_mirror_the_samples_that_ask_for_it() -> None:
    x = images(2, size=(16, 16))
    whole = torch.tensor([[0.0, 0.0, 16.0, 16.0]] * 2)
    found = crop(x, whole, torch.tensor([True, False]), 16)
    torch.testing.assert_close(found[0], x[0].flip(-1), atol=1e-5, rtol=0)
    torch.testing.assert_close(found[1], x[1], atol=1e-5, rtol=0)


def test_a_flipped_crop_is_the_flip_of_the_crop() -> None:
    x = images(2)
    boxes = torch.tensor([[3.0, 5.0, 12.0, 10.0]] * 2)
    plain = crop(x, boxes, torch.tensor([False, False]), 16)
    torch.testing.assert_close(crop(x, boxes, torch.tensor([True, True]), 16), plain.flip(-1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [1, 7, 32, 65])
def test_a_crop_takes_the_places_of_an_affine_map(size: int) -> None:
    x, boxes = images(), draw_crops(6, 20, 24, (0.2, 1.0), (0.5, 2.0), generator())
    flips = torch.arange(6) % 2 == 0
    top, left, h, w = boxes.unbind(dim=1)
    theta = torch.zeros(6, 2, 3)
    theta[:, 0, 0], theta[:, 0, 2] = torch.where(flips, -w, w) / 24, (2 * left + w) / 24 - 1
    theta[:, 1, 1], theta[:, 1, 2] = h / 20, (2 * top + h) / 20 - 1
    grid = torch.nn.functional.affine_grid(theta, [6, 1, size, size], align_corners=False)
    expected = torch.nn.functional.grid_sample(x, grid, "bilinear", "border", align_corners=False)
    torch.testing.assert_close(crop(x, boxes, flips, size), expected, atol=1e-6, rtol=0)


DRAWS = 4000


@pytest.mark.parametrize(
    ("height", "width", "scale", "ratio"),
    [
        (224, 224, (0.7, 1.0), (3 / 4, 4 / 3)),
        (32, 32, (0.08, 1.0), (3 / 4, 4 / 3)),
        (100, 180, (0.5, 1.0), (3 / 4, 4 / 3)),
        (60, 200, (0.9, 1.0), (3 / 4, 4 / 3)),  # no box fits: the centred one
        (200, 60, (0.9, 1.0), (3 / 4, 4 / 3)),
    ],
)
def test_boxes_have_torchvisions_distribution(
    height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> None:
    torch.manual_seed(0)
    image = torch.empty(1, height, width)
    theirs = np.array([RandomResizedCrop.get_params(image, list(scale), list(ratio)) for _ in range(DRAWS)])
    ours = draw_crops(DRAWS, height, width, scale, ratio, generator()).double().numpy()
    assert np.array_equal(ours, ours.round())
    assert (ours >= 0).all()
    assert (ours[:, 0] + ours[:, 2] <= height).all()
    assert (ours[:, 1] + ours[:, 3] <= width).all()
    for quantity in (
        lambda b: b[:, 2] * b[:, 3],
        lambda b: b[:, 3] / b[:, 2],
        lambda b: b[:, 0],
        lambda b: b[:, 1],
    ):
        assert ks_2samp(quantity(ours), quantity(theirs)).pvalue > 1e-3


def test_where_no_box_fits_it_is_the_largest_centred_one() -> None:
    found = draw_crops(5, 60, 200, (0.9, 1.0), (3 / 4, 4 / 3), generator())
    assert found.tolist() == [[0, 60, 60, 80]] * 5
    assert draw_crops(1, 200, 60, (0.9, 1.0), (3 / 4, 4 / 3), generator()).tolist() == [[60, 0, 80, 60]]


# ------------------------------------------------------------------ the whole


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 1.0])
def test_flip_rate(rate: float) -> None:
    ramp = torch.linspace(0, 1, 8).expand(3000, 1, 8, 8)
    found = augment(ramp, 8, {**OFF, "horizontal_flip": rate}, generator(1))
    flipped = int((found[:, 0, 0, 0] > found[:, 0, 0, -1]).sum())
    assert_rate(flipped, 3000, rate)


@pytest.mark.parametrize("rate", [0.0, 0.1, 1.0])
def test_grayscale_rate(rate: float) -> None:
    x = images(1, size=(4, 4)).expand(3000, 3, 4, 4)
    found = augment(x, 4, {**OFF, "grayscale": rate}, generator(1))
    grey = (found[:, 0] == found[:, 1]).all(dim=(1, 2)) & (found[:, 1] == found[:, 2]).all(dim=(1, 2))
    assert_rate(int(grey.sum()), 3000, rate)


def assert_rate(hits: int, n: int, rate: float) -> None:
    if rate in (0, 1):
        assert hits == n * rate
    else:
        assert chisquare([hits, n - hits], [n * rate, n * (1 - rate)]).pvalue > 1e-3


def test_jitter_draws_three_factors_and_an_order_per_sample() -> None:
    """On an image of one grey value only brightness shows: it must be uniform in 1 ± strength."""
    flat = torch.full((3000, 3, 2, 2), 0.5)
    found = augment(flat, 2, {**OFF, "color_jitter": 0.3}, generator(3))[:, 0, 0, 0].numpy() / 0.5
    assert ks_2samp(found, np.random.default_rng(0).uniform(0.7, 1.3, 3000)).pvalue > 1e-3
    x = images(1, size=(6, 6)).expand(200, 3, 6, 6)
    jittered = augment(x, 6, {**OFF, "color_jitter": 0.3}, generator(3))
    assert len(torch.unique(jittered.reshape(200, -1), dim=0)) == 200


def test_jitter_is_torchvisions_in_one_of_the_orders() -> None:
    """The generator is asked for the same numbers as `augment` asks it; the order is found by trying all."""
    x = images(1, size=(6, 6))
    found = augment(x, 6, {**OFF, "color_jitter": 0.3}, generator(7))[0]
    steps = (reference.adjust_brightness, reference.adjust_contrast, reference.adjust_saturation)
    random = generator(7)
    draw_crops(1, 6, 6, (1.0, 1.0), (1.0, 1.0), random)
    torch.rand(1, generator=random)
    factors = torch.empty(1, 3).uniform_(0.7, 1.3, generator=random)[0].tolist()
    candidates = []
    for order in itertools.permutations(range(3)):
        image = x[0]
        for step in order:
            image = steps[step](image, factors[step])
        candidates.append(float((image - found).abs().max()))
    assert min(candidates) < 1e-5


def test_jitter_has_torchvisions_distribution() -> None:
    """Each channel of a picture of two colours, on which order and every factor show."""
    picture = torch.tensor([[0.7, 0.1], [0.4, 0.3], [0.2, 0.8]])[:, :, None].expand(3, 2, 2).contiguous()
    torch.manual_seed(0)
    jitter = ColorJitter(0.3, 0.3, 0.3)
    theirs = torch.stack([jitter(picture) for _ in range(2000)])[..., 0].flatten(1).numpy()
    options = {**OFF, "color_jitter": 0.3}
    ours = augment(picture.expand(2000, 3, 2, 2), 2, options, generator(2))[..., 0].flatten(1).numpy()
    assert theirs.std(axis=0).min() > 0.01
    for channel in range(ours.shape[1]):
        assert ks_2samp(ours[:, channel], theirs[:, channel]).pvalue > 1e-3


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bytes_", [1, 3000, 2**30])
def test_parts_of_a_batch_are_the_batch(monkeypatch: pytest.MonkeyPatch, channels: int, bytes_: int) -> None:
    """One image at a time, a few, all: the same to the bit, with every change switched on."""
    options = {**Augmentation().model_dump(), "grayscale": 0.5}
    x = images(9, channels=channels)
    whole = augment(x, 16, options, generator(4))
    monkeypatch.setattr(augmentation, "CPU_PART_BYTES", bytes_)
    assert torch.equal(augment(x, 16, options, generator(4)), whole)


def test_bytes_are_as_good_as_floats_and_normalised_at_the_end() -> None:
    options = Augmentation().model_dump()
    x = (images() * 255).to(torch.uint8)
    mean, std = torch.tensor([0.4, 0.5, 0.6]).reshape(1, 3, 1, 1), torch.tensor([0.1, 0.2, 0.3]).reshape(1, 3, 1, 1)
    plain = augment(x.float() / 255, 16, options, generator(4))
    assert torch.equal(augment(x, 16, options, generator(4)), plain)
    assert torch.equal(augment(x, 16, options, generator(4), (mean, std)), (plain - mean) / std)


@pytest.mark.parametrize("size", [16, 20])
@pytest.mark.parametrize("bytes_", [1, 2**30])
def test_unchanged_images_are_scaled_and_normalised(monkeypatch: pytest.MonkeyPatch, size: int, bytes_: int) -> None:
    monkeypatch.setattr(augmentation, "CPU_PART_BYTES", bytes_)
    x = (images(size=(20, 20)) * 255).to(torch.uint8)
    mean, std = torch.tensor([0.4, 0.5, 0.6]).reshape(1, 3, 1, 1), torch.tensor([0.1, 0.2, 0.3]).reshape(1, 3, 1, 1)
    assert torch.equal(unchanged(x, size, (mean, std)), (resize(x.float() / 255, size) - mean) / std)
    assert unchanged(x[:0], size, (mean, std)).shape == (0, 3, size, size)


def test_every_device_gets_the_same_parameters() -> None:
    """They are drawn on the CPU whatever the device; the device `meta` computes nothing and would fail a drawing."""
    options = Augmentation().model_dump()
    changes = draw(6, 3, 20, 24, options, generator(4))
    assert all(values.device.type == "cpu" for values in vars(changes).values())
    random = generator(4)
    elsewhere = augment(images().to("meta"), 16, {**options, "grayscale": 0.0}, random)
    assert elsewhere.device.type == "meta"
    here = generator(4)
    augment(images(), 16, {**options, "grayscale": 0.0}, here)
    assert torch.equal(random.get_state(), here.get_state())


@pytest.mark.parametrize("channels", [1, 3])
def test_the_result_depends_on_the_generator_alone(channels: int) -> None:
    options = Augmentation().model_dump()
    x = images(channels=channels)
    torch.manual_seed(0)
    one = augment(x, 16, options, generator(5))
    torch.manual_seed(1)
    torch.rand(10)
    two = augment(x, 16, options, generator(5))
    assert torch.equal(one, two)
    assert not torch.equal(one, augment(x, 16, options, generator(6)))
    assert one.shape == (len(x), channels, 16, 16)
    assert one.min() >= 0
    assert one.max() <= 1


def test_augmenting_uses_up_no_global_randomness() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    augment(images(), 16, Augmentation().model_dump(), generator())
    assert torch.equal(torch.get_rng_state(), before)


def test_the_input_is_not_changed() -> None:
    x = images()
    before = x.clone()
    options: dict[str, Any] = {**Augmentation().model_dump(), "grayscale": 1.0}
    augment(x, 16, options, generator())
    assert torch.equal(x, before)
