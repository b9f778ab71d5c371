"""Augmentation against torchvision: the same operations, the same distributions, and seeds that mean something."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as reference
from PIL import Image
from scipy.stats import chisquare, ks_2samp
from torch import Tensor
from torchvision.transforms import ColorJitter, InterpolationMode, RandomResizedCrop

from finecal.config import Augmentation
from finecal.data import augmentation
from finecal.data.augmentation import Changes, augment, change_one_by_one, change_together, draw, resize_and_normalise
from finecal.data.colors import (
    BRIGHTNESS,
    CONTRAST,
    SATURATION,
    adjust_brightness,
    adjust_contrast,
    adjust_saturation,
    jitter_together,
    luma,
)
from finecal.data.crops import crop_one, crop_together, draw_crops, resize

OFF = {"crop_scale": (1.0, 1.0), "crop_ratio": (1.0, 1.0), "horizontal_flip": 0, "color_jitter": 0, "grayscale": 0}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int = 6, size: tuple[int, int] = (20, 24), channels: int = 3) -> Tensor:
    return torch.rand(n, channels, *size, generator=generator(99))


def as_bytes(x: Tensor) -> Tensor:
    return (x * 255).to(torch.uint8)


# ------------------------------------------------------------------ single operations


@pytest.mark.parametrize("factor", [0.0, 0.3, 0.7, 1.0, 1.3, 2.0])
@pytest.mark.parametrize(
    ("number", "ours", "theirs"),
    [
        (BRIGHTNESS, adjust_brightness, reference.adjust_brightness),
        (CONTRAST, adjust_contrast, reference.adjust_contrast),
        (SATURATION, adjust_saturation, reference.adjust_saturation),
    ],
)
def test_colour_operations(
    number: int, ours: Callable[..., Tensor], theirs: Callable[..., Tensor], factor: float
) -> None:
    """Of one image in place, and of a batch; in the batch two more turns change nothing."""
    x = images()
    expected = torch.stack([theirs(image, factor) for image in x])
    alone = torch.stack([ours(image.clone(), factor) for image in x])
    torch.testing.assert_close(alone, expected, atol=1e-6, rtol=0)
    factors = torch.ones(len(x), 3)
    factors[:, number] = factor
    turns = torch.tensor([[number, *({0, 1, 2} - {number})]]).expand(len(x), 3)
    torch.testing.assert_close(jitter_together(x, factors, turns), expected, atol=1e-6, rtol=0)


def test_every_sample_has_its_own_factor_and_turn() -> None:
    x, factors = images(2), torch.tensor([[0.5, 1.0, 1.0], [1.0, 1.5, 1.0]])
    found = jitter_together(x, factors, torch.tensor([[0, 1, 2], [1, 2, 0]]))
    torch.testing.assert_close(found[0], reference.adjust_brightness(x[0], 0.5), atol=1e-6, rtol=0)
    torch.testing.assert_close(found[1], reference.adjust_contrast(x[1], 1.5), atol=1e-6, rtol=0)


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


BOXES = [(3, 5, 12, 16), (0, 0, 20, 24), (8, 10, 7, 5), (2, 1, 16, 16), (4, 3, 1, 20)]


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("size", [8, 16, 33])
def test_a_crop_is_torchvisions(box: tuple[int, int, int, int], size: int) -> None:
    """To its rim; of floats."""
    x = images()
    expected = reference.resized_crop(x, *box, [size, size], InterpolationMode.BILINEAR, antialias=True)
    torch.testing.assert_close(torch.stack([crop_one(image, box, size) for image in x]), expected, atol=1e-5, rtol=0)
    flips, boxes = torch.zeros(len(x), dtype=torch.bool), torch.tensor([box] * len(x)).float()
    torch.testing.assert_close(crop_together(x, boxes, flips, size), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("size", [8, 16, 33])
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_crop_of_bytes_is_pils(box: tuple[int, int, int, int], size: int, channels_last: bool) -> None:
    """Both round to whole numbers, after either direction: they are never more than one apart on their way."""
    x = as_bytes(images())
    top, left, h, w = box
    expected = []
    for image in x:
        picture = Image.fromarray(image.permute(1, 2, 0).numpy()).crop((left, top, left + w, top + h))
        scaled = np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))
        expected.append(torch.from_numpy(scaled.copy()).permute(2, 0, 1))
    wanted = torch.stack(expected).int()
    x = x.to(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    alone = torch.stack([crop_one(image, box, size) for image in x])
    assert alone.dtype == torch.uint8
    assert (alone.int() - wanted).abs().max() <= 1
    flips, boxes = torch.zeros(len(x), dtype=torch.bool), torch.tensor([box] * len(x)).float()
    at_once = crop_together(x, boxes, flips, size)
    assert torch.equal(at_once, at_once.round())
    assert (at_once.int() - wanted).abs().max() <= 2
    assert (at_once.int() != alone.int()).float().mean() < 0.1


def test_the_whole_image_is_itself() -> None:
    x = images(size=(32, 32))
    box = (0, 0, 32, 32)
    whole, unflipped = torch.tensor([box] * len(x)).float(), torch.zeros(len(x), dtype=torch.bool)
    assert torch.equal(crop_one(x[0], box, 32), x[0])
    torch.testing.assert_close(crop_together(x, whole, unflipped, 32), x, atol=1e-6, rtol=0)
    assert torch.equal(crop_together(as_bytes(x), whole, unflipped, 32), as_bytes(x).float())
    torch.testing.assert_close(augment(x, 32, OFF, generator()), x, atol=1e-6, rtol=0)


def test_a_flipped_crop_is_the_flip_of_the_crop() -> None:
    x = images(2)
    boxes = torch.tensor([[3.0, 5.0, 12.0, 10.0]] * 2)
    plain = crop_together(x, boxes, torch.tensor([False, False]), 16)
    found = crop_together(x, boxes, torch.tensor([True, False]), 16)
    torch.testing.assert_close(found[0], plain[0].flip(-1), atol=1e-6, rtol=0)
    torch.testing.assert_close(found[1], plain[1], atol=1e-6, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["bytes", "floats"])
@pytest.mark.parametrize(("side", "size"), [(20, 16), (16, 24), (70, 50)])
def test_one_by_one_and_together_are_the_same(side: int, size: int, channels: int, kind: str) -> None:
    """Every change switched on; bytes may be two grey levels apart, in few places, before their colours change."""
    x = images(40, size=(side, side), channels=channels)
    x = as_bytes(x) if kind == "bytes" else x
    options = {**Augmentation().model_dump(), "grayscale": 0.5}
    changes = draw(*tuple(x.shape), options, generator(4))
    normaliser = (torch.full((1, channels, 1, 1), 0.4), torch.full((1, channels, 1, 1), 0.5))
    one, other = (way(x, changes, size, normaliser) for way in (change_one_by_one, change_together))
    difference = (one - other).abs()
    # Brightness and contrast make of it 1.3 times as much at most, saturation 1.3 + 0.3 times, normalising twice.
    assert difference.max() < (1e-5 if kind == "floats" else 2 * 1.3 * 1.3 * 1.6 / 255 / 0.5)
    # A scaled value differs in less than 5 %, and a grey one has three of them; contrast moves all by less than this.
    assert (difference > 0.25 / 255 / 0.5).float().mean() < 0.15


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
@pytest.mark.parametrize("small", [0, 2**30])
def test_a_batch_is_its_images(monkeypatch: pytest.MonkeyPatch, small: int, channels: int) -> None:
    """What becomes of an image does not depend on those beside it."""
    monkeypatch.setattr(augmentation, "SMALL", small)
    x = as_bytes(images(9, channels=channels))
    changes = draw(*tuple(x.shape), {**Augmentation().model_dump(), "grayscale": 0.5}, generator(4))
    way = change_together if small else change_one_by_one
    whole = way(x, changes, 16, None)
    for number in range(9):
        kept = slice(number, number + 1)
        part = Changes(*(None if value is None else value[kept] for value in vars(changes).values()))
        torch.testing.assert_close(way(x[kept], part, 16, None), whole[kept], atol=1e-6, rtol=0)


@pytest.mark.parametrize("small", [0, 2**30])
def test_images_are_normalised_at_the_end(monkeypatch: pytest.MonkeyPatch, small: int) -> None:
    monkeypatch.setattr(augmentation, "SMALL", small)
    options = Augmentation().model_dump()
    x = as_bytes(images())
    mean, std = torch.tensor([0.4, 0.5, 0.6]).reshape(1, 3, 1, 1), torch.tensor([0.1, 0.2, 0.3]).reshape(1, 3, 1, 1)
    plain = augment(x, 16, options, generator(4))
    assert torch.equal(augment(x, 16, options, generator(4), (mean, std)), (plain - mean) / std)
    # Floats are not rounded when they are scaled: half a level in either direction, and the changes of the colours.
    torch.testing.assert_close(
        augment(x.float() / 255, 16, options, generator(4)), plain, atol=1.3**3 * 1.5 / 255, rtol=0
    )


@pytest.mark.parametrize("size", [16, 20])
@pytest.mark.parametrize("part", [1, 10_000, 2**30])
def test_unchanged_images_are_scaled_and_normalised(monkeypatch: pytest.MonkeyPatch, size: int, part: int) -> None:
    monkeypatch.setattr(augmentation, "PART_BYTES", part)
    x = as_bytes(images(size=(20, 20)))
    mean, std = torch.tensor([0.4, 0.5, 0.6]).reshape(1, 3, 1, 1), torch.tensor([0.1, 0.2, 0.3]).reshape(1, 3, 1, 1)
    expected = (resize(x, size).float() / 255 - mean) / std
    assert torch.equal(resize_and_normalise(x, size, (mean, std)), expected)
    assert resize_and_normalise(x[:0], size, (mean, std)).shape == (0, 3, size, size)


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


def test_the_number_of_threads_is_as_before() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        augment(images(size=(64, 64)), 56, Augmentation().model_dump(), generator())
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


def test_the_input_is_not_changed() -> None:
    x = images()
    before = x.clone()
    options: dict[str, Any] = {**Augmentation().model_dump(), "grayscale": 1.0}
    augment(x, 16, options, generator())
    assert torch.equal(x, before)
