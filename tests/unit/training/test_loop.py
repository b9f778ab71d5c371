"""The training loop: what makes a step, and that a run which was interrupted equals one that was not."""

from __future__ import annotations

import copy
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from finecal.config import Augmentation, Training
from finecal.errors import UserError
from finecal.models.build import Architecture, architecture, build, head
from finecal.recipes import full
from finecal.training.batches import Batches, TrainingData
from finecal.training.loop import TrainingRun
from finecal.training.optimizer import FUSED, learning_rate_factor, make_optimizer
from finecal.training.state import Interrupted, StateFile
from finecal.training.task import TrainingTask

SIZE = 32
COORDINATES = ("digits", "run", 3)
OF_S = np.array([True, True, True])
STILL = Augmentation(
    crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), horizontal_flip=0.0, color_jitter=0.0, grayscale=0.0
)  # fmt: skip
TRAINING = Training(lr=0.05, epochs=3, batch_size=8)  # 20 samples: 3 steps per epoch, 9 in all
STEPS = 9

Run = tuple[dict[str, Tensor], list[dict[str, float]]]


@pytest.fixture(autouse=True)
def _one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def description() -> Architecture:
    backbone = {"model": "test_resnet", "options": {"drop_rate": 0.3}, "image_size": SIZE}
    return architecture(backbone, ("a", "b", "c"), 1)


@pytest.fixture(scope="module")
def fresh(description: Architecture) -> nn.Module:
    torch.manual_seed(0)
    return build(description, weights="random")


@pytest.fixture(scope="module")
def data() -> TrainingData:
    """20 of 40 samples; every pixel of a sample is five times its number, so that a batch shows whom it holds."""
    pixels = np.repeat(np.arange(40, dtype=np.uint8) * 5, SIZE * SIZE).reshape(40, SIZE, SIZE, 1)
    chosen = np.arange(40) % 2 == 1
    return TrainingData.from_arrays(pixels, np.arange(40, dtype=np.int32) % 3, chosen, torch.device("cpu"))


class Recipe(full.Recipe):
    """Full fine-tuning that does something of ours at one step."""

    def __init__(self, at: int | None = None, act: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__(full.Options())
        self.at, self.act, self.calls, self.finished = at, act, 0, 0
        self.batches: list[Tensor] = []
        self.smoothing: set[float] = set()

    def loss(self, model: nn.Module, images: Tensor, labels: Tensor, *, label_smoothing: float) -> Tensor:
        assert model.training
        self.batches.append(images)
        self.smoothing.add(label_smoothing)
        loss = super().loss(model, images, labels, label_smoothing=label_smoothing)
        self.calls += 1
        if self.act is not None and self.calls - 1 == self.at:
            return self.act(loss)
        return loss

    def finish(self, model: nn.Module) -> None:
        self.finished += 1


class Noted(Recipe):
    """Full fine-tuning that notes the loss of every step."""

    def __init__(self, losses: list[float]) -> None:
        super().__init__()
        self.losses = losses

    def loss(self, *arguments: Any, **options: Any) -> Tensor:
        found = super().loss(*arguments, **options)
        self.losses.append(float(found.detach()))
        return found


class StoppedError(Exception):
    pass


def stop(_: Tensor) -> Tensor:
    raise StoppedError


def observe(model: nn.Module) -> dict[str, float]:
    assert not model.training
    return {"norm": float(head(model).weight.detach().norm())}


@pytest.fixture
def run(fresh: nn.Module, description: Architecture, data: TrainingData) -> Callable[..., Run]:
    def run(
        recipe: full.Recipe | None = None,
        training: Training = TRAINING,
        state: str = "state.pt",
        interval: float = 0,
        belongs_to: int = 0,
        coordinates: tuple[str | int, ...] = COORDINATES,
        observe: Callable[[nn.Module], dict[str, float]] = observe,
    ) -> Run:
        model = copy.deepcopy(fresh)
        task = TrainingTask(model, description, data, recipe or Recipe(), training, OF_S, coordinates)
        history = TrainingRun(task, StateFile(Path(state), {"of": belongs_to}, interval), observe).run()
        return model.state_dict(), history

    return run


def assert_same(one: Run, other: Run) -> None:
    """Bit by bit, but for the seconds."""
    assert list(one[0]) == list(other[0])
    for name in one[0]:
        assert torch.equal(one[0][name], other[0][name]), name
    for row, same in zip(one[1], other[1], strict=True):
        assert {k: repr(v) for k, v in row.items() if k != "seconds"} == {
            k: repr(v) for k, v in same.items() if k != "seconds"
        }


# ------------------------------------------------------------------ which samples a step takes


@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 5))
def test_every_pass_is_a_permutation(n: int, size: int, seed: int) -> None:
    batches = Batches(n, size, ("x", seed))
    assert batches.size == min(n, size)
    steps = 4 * batches.steps_per_pass()
    row = np.concatenate([batches[t] for t in range(steps)])
    for start in range(0, len(row) - n + 1, n):
        assert sorted(row[start : start + n]) == list(range(n))
    assert (batches.steps_per_pass() - 1) * batches.size < n <= batches.steps_per_pass() * batches.size


@given(st.integers(1, 30), st.integers(1, 12), st.permutations(range(20)))
def test_a_batch_does_not_depend_on_what_was_asked_before(n: int, size: int, order: list[int]) -> None:
    in_turn, asked = Batches(n, size, ("x", 0)), Batches(n, size, ("x", 0))
    expected = [in_turn[t] for t in range(20)]
    for t in order:
        assert np.array_equal(asked[t], expected[t])


def test_passes_and_coordinates_differ() -> None:
    batches = Batches(50, 50, ("x", 0))
    assert not np.array_equal(batches[0], batches[1])
    assert not np.array_equal(batches[0], Batches(50, 50, ("x", 1))[0])


def test_training_data_keeps_numbers_and_layout(data: TrainingData) -> None:
    pixels = data.pixels[np.arange(20)]
    assert pixels.shape == (len(data.pixels), 1, SIZE, SIZE) == (20, 1, SIZE, SIZE)
    assert pixels.dtype == torch.uint8
    assert data.samples.tolist() == list(range(1, 40, 2))
    assert data.labels.tolist() == [n % 3 for n in range(1, 40, 2)]
    assert pixels[:, 0, 0, 0].tolist() == [5 * n for n in range(1, 40, 2)]


def test_some_of_the_training_data_share_its_pixels(data: TrainingData) -> None:
    """Chosen by a mask of all samples of the data set: of 1, 3, 5, … those below 10 and above 30."""
    mask = (np.arange(40) < 10) | (np.arange(40) > 30)
    part = data.select(mask)
    assert part.samples.tolist() == [1, 3, 5, 7, 9, 31, 33, 35, 37, 39]
    assert part.labels.tolist() == [n % 3 for n in part.samples]
    assert part.pixels[np.array([9, 0])][:, 0, 0, 0].tolist() == [5 * 39, 5 * 1]
    again = part.select(np.arange(40) == 35)
    assert again.pixels[np.array([0])][0, 0, 0, 0] == 5 * 35


# ------------------------------------------------------------------ optimiser and schedule


def test_the_learning_rate_falls_along_a_half_cosine() -> None:
    factors = [learning_rate_factor(step, 10, 0) for step in range(10)]
    assert factors[0] == 1
    assert factors[5] == pytest.approx(0.5)
    assert factors == sorted(factors, reverse=True)
    assert factors[9] == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.9)))


def test_the_warm_up_rises_in_equal_steps_to_one() -> None:
    factors = [learning_rate_factor(step, 12, 4) for step in range(6)]
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert factors[5] < 1
    assert learning_rate_factor(3, 4, 4) == 0.8  # nothing but warm-up


def test_two_groups_with_two_learning_rates(fresh: nn.Module) -> None:
    optimizer = make_optimizer(fresh, Training(lr=0.5, backbone_lr_scale=0.1, weight_decay=0.01, momentum=0.8))
    backbone, last = optimizer.param_groups
    assert (backbone["lr"], last["lr"]) == (pytest.approx(0.05), 0.5)
    assert {id(p) for p in last["params"]} == {id(p) for p in head(fresh).parameters()}
    assert len(backbone["params"]) + 2 == len(list(fresh.parameters()))
    assert all((g["weight_decay"], g["momentum"], g["nesterov"]) == (0.01, 0.8, True) for g in (backbone, last))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "adabelief", "adadelta", "adagrad", "rmsprop"])
def test_the_optimisers_of_the_paper(fresh: nn.Module, optimizer: str) -> None:
    made = make_optimizer(
        fresh, Training(optimizer=optimizer, optimizer_options={"eps": 1e-6} if optimizer != "sgd" else {})
    )
    assert [group["base_lr"] for group in made.param_groups] == [pytest.approx(1e-4), 1e-3]


def test_options_of_an_optimiser_arrive(fresh: nn.Module) -> None:
    made = make_optimizer(fresh, Training(optimizer="adamw", optimizer_options={"betas": [0.7, 0.8]}))
    assert list(made.param_groups[0]["betas"]) == [0.7, 0.8]


def test_an_option_that_the_optimiser_does_not_have(fresh: nn.Module) -> None:
    with pytest.raises(UserError) as caught:
        make_optimizer(fresh, Training(optimizer_options={"nonsense": 1}))
    assert str(caught.value) == (
        "training.optimizer: timm cannot create the optimiser 'sgd' with {'nonsense': 1}: "
        "SGD.__init__() got an unexpected keyword argument 'nonsense'."
    )


@pytest.mark.parametrize("name", FUSED)
def test_the_optimisers_with_one_kernel_are_torchs(fresh: nn.Module, name: str) -> None:
    """torch has those kernels on the CPU, too: there they are asked for by hand."""
    model = copy.deepcopy(fresh)
    optimizer = make_optimizer(model, Training(optimizer=name, optimizer_options={"fused": True}))
    assert all(group["fused"] for group in optimizer.param_groups)
    sum((p**2).sum() for p in model.parameters()).backward()
    optimizer.step()
    assert not any(group["fused"] for group in make_optimizer(model, Training(optimizer=name)).param_groups)


# ------------------------------------------------------------------ a run


def test_the_history_has_a_row_for_the_start_and_each_epoch(run: Callable[..., Run]) -> None:
    recipe = Recipe()
    _, history = run(recipe)
    assert [row["epoch"] for row in history] == [0, 1, 2, 3]
    assert [row["step"] for row in history] == [0, 3, 6, 9]
    assert math.isnan(history[0]["loss"])
    assert all(math.isfinite(row["loss"]) for row in history[1:])
    assert [row["lr"] for row in history] == pytest.approx(
        [0.05, *(0.05 * learning_rate_factor(t, 9, 0) for t in (2, 5, 8))]
    )
    assert len({row["norm"] for row in history}) == 4
    assert (recipe.calls, recipe.finished) == (STEPS, 1)
    assert recipe.smoothing == {0.0}


def test_the_loss_of_an_epoch_is_the_mean_of_its_steps(run: Callable[..., Run]) -> None:
    losses: list[float] = []
    _, history = run(Noted(losses))
    assert [row["loss"] for row in history[1:]] == pytest.approx([np.mean(losses[t : t + 3]) for t in (0, 3, 6)])


def test_steps_per_epoch_can_be_given(run: Callable[..., Run]) -> None:
    recipe = Recipe()
    _, history = run(recipe, Training(epochs=2, batch_size=8, steps_per_epoch=4))
    assert [row["step"] for row in history] == [0, 4, 8]
    assert recipe.calls == 8


def test_the_run_depends_on_its_coordinates_alone(run: Callable[..., Run]) -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    one = run(state="one.pt")
    torch.manual_seed(2)
    torch.rand(100)
    np.random.seed(2)
    assert_same(run(state="two.pt", interval=1e9), one)
    other = run(state="three.pt", coordinates=("digits", "run", 4))
    assert not torch.equal(other[0]["fc.weight"], one[0]["fc.weight"])


@pytest.mark.parametrize("jitter", [0.0, 0.3])
def test_every_step_has_randomness_of_its_own(fresh: nn.Module, description: Architecture, jitter: float) -> None:
    """Equal samples and no learning: only dropout makes losses differ, and only augmentation makes images differ."""
    pixels = np.full((8, SIZE, SIZE, 1), 100, np.uint8)
    same = TrainingData.from_arrays(pixels, np.ones(8, np.int32), np.ones(8, bool), torch.device("cpu"))
    augmentation = STILL.model_copy(update={"color_jitter": jitter})
    training = Training(
        lr=1e-12, weight_decay=0.0, batch_size=8, epochs=1, steps_per_epoch=4, augmentation=augmentation
    )
    losses: list[float] = []
    recipe = Noted(losses)
    task = TrainingTask(copy.deepcopy(fresh), description, same, recipe, training, OF_S, COORDINATES)
    TrainingRun(task, StateFile(Path("state.pt"), {}, 1e9), observe).run()
    assert fresh.drop_rate == 0.3
    assert len(set(losses)) == 4
    assert len({images.numpy().tobytes() for images in recipe.batches}) == (4 if jitter else 1)


def test_the_backbone_stands_still_at_a_scale_of_zero(run: Callable[..., Run], fresh: nn.Module) -> None:
    weights, _ = run(training=Training(lr=0.05, epochs=1, batch_size=8, backbone_lr_scale=0.0))
    moved = {name for name, _ in fresh.named_parameters() if not torch.equal(weights[name], fresh.state_dict()[name])}
    assert moved == {"fc.weight", "fc.bias"}


def test_label_smoothing_reaches_the_loss(run: Callable[..., Run]) -> None:
    recipe = Recipe()
    run(recipe, Training(epochs=1, batch_size=8, label_smoothing=0.25))
    assert recipe.smoothing == {0.25}


def test_the_loss_of_full_fine_tuning_by_hand() -> None:
    logits = torch.tensor([[2.0, 0.0, 1.0]])
    log_p = logits[0] - math.log(math.exp(2) + 1 + math.e)
    loss = full.Recipe(full.Options()).loss(nn.Identity(), logits, torch.tensor([2]), label_smoothing=0.3)
    assert float(loss) == pytest.approx(float(-(0.7 * log_p[2] + 0.3 * log_p.mean())), abs=1e-6)


@pytest.mark.parametrize("clip", [None, 0.01])
def test_the_gradient_is_clipped(run: Callable[..., Run], fresh: nn.Module, clip: float | None) -> None:
    """One step of plain SGD moves the weights by lr × gradient."""
    training = Training(
        optimizer="momentum", momentum=0.0, weight_decay=0.0, lr=0.1, backbone_lr_scale=1.0, epochs=1,
        steps_per_epoch=1, batch_size=8, clip_grad=clip,
    )  # fmt: skip
    weights, _ = run(training=training)
    steps = [weights[name] - p.detach() for name, p in fresh.named_parameters()]
    norm = math.sqrt(sum(float((step.double() ** 2).sum()) for step in steps))
    if clip:
        assert norm == pytest.approx(0.1 * clip, rel=1e-3)
    else:
        assert norm > 0.1 * 0.1


# ------------------------------------------------------------------ interrupted and taken up again


@pytest.fixture(scope="module")
def whole(fresh: nn.Module, description: Architecture, data: TrainingData, tmp_path_factory: Any) -> dict[str, Run]:
    """The runs that were never interrupted, by optimiser."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    runs = {}
    for optimizer in ("sgd", "adamw"):
        model = copy.deepcopy(fresh)
        state = StateFile(tmp_path_factory.mktemp("whole") / "state.pt", {}, 1e9)
        training = TRAINING.model_copy(update={"optimizer": optimizer})
        task = TrainingTask(model, description, data, Recipe(), training, OF_S, COORDINATES)
        history = TrainingRun(task, state, observe).run()
        runs[optimizer] = (model.state_dict(), history)
    torch.set_num_threads(threads)
    return runs


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("step", [0, 1, 2, 3, 5, 8])
def test_a_run_taken_up_again_is_the_same(
    run: Callable[..., Run], whole: dict[str, Run], step: int, optimizer: str
) -> None:
    """Before anything was saved, inside an epoch, and at its end; what the process did in between is irrelevant."""
    training = TRAINING.model_copy(update={"optimizer": optimizer})
    with pytest.raises(StoppedError):
        run(Recipe(step, stop), training)
    torch.manual_seed(step)
    torch.rand(17)
    rest = Recipe()
    assert_same(run(rest, training), whole[optimizer])
    assert rest.calls == STEPS - step


def test_a_run_interrupted_at_every_step_is_the_same(run: Callable[..., Run], whole: dict[str, Run]) -> None:
    for _ in range(STEPS - 1):
        with pytest.raises(StoppedError):
            run(Recipe(1, stop))
    assert_same(run(), whole["sgd"])


def test_a_run_that_ended_before_its_results_were_written(run: Callable[..., Run], whole: dict[str, Run]) -> None:
    """The state after the last step is saved whatever the interval: only `finish` is left to do."""
    run(interval=1e9)
    rest = Recipe()
    assert_same(run(rest, interval=1e9), whole["sgd"])
    assert (rest.calls, rest.finished) == (0, 1)


HEARD = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP)


@pytest.mark.parametrize("number", HEARD)
def test_a_signal_ends_the_run_after_the_step(
    run: Callable[..., Run], whole: dict[str, Run], number: signal.Signals
) -> None:
    def receive(loss: Tensor) -> Tensor:
        os.kill(os.getpid(), number)
        return loss

    handlers = [signal.getsignal(s) for s in HEARD]
    recipe = Recipe(4, receive)
    with pytest.raises(Interrupted) as caught:
        run(recipe, interval=1e9)
    assert str(caught.value) == f"interrupted by {number.name}; the state is saved, and a rerun resumes from it"
    assert caught.value.number == number
    assert (recipe.calls, recipe.finished) == (5, 0)
    assert [signal.getsignal(s) for s in HEARD] == handlers
    rest = Recipe()
    assert_same(run(rest, interval=1e9), whole["sgd"])
    assert rest.calls == STEPS - 5


def test_a_terminal_that_is_closed_ends_nothing_below_nohup(run: Callable[..., Run], whole: dict[str, Run]) -> None:
    def receive(loss: Tensor) -> Tensor:
        os.kill(os.getpid(), signal.SIGHUP)
        return loss

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert_same(run(Recipe(4, receive), interval=1e9), whole["sgd"])
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_at_the_end_of_an_epoch_loses_nothing(run: Callable[..., Run], whole: dict[str, Run]) -> None:
    """The signal comes after this step has checked whether to save the state: the next step saves it."""
    looks: list[None] = []

    def receive(model: nn.Module) -> dict[str, float]:
        looks.append(None)
        if len(looks) == 2:  # after the start the first epoch
            os.kill(os.getpid(), signal.SIGTERM)
        return observe(model)

    recipe, rest = Recipe(), Recipe()
    with pytest.raises(Interrupted):
        run(recipe, interval=1e9, observe=receive)
    assert_same(run(rest, interval=1e9), whole["sgd"])
    assert recipe.calls + rest.calls == STEPS
    assert recipe.calls == STEPS // TRAINING.epochs + 1


def test_a_state_of_other_options_is_not_taken_up(
    run: Callable[..., Run], whole: dict[str, Run], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(StoppedError):
        run(Recipe(5, stop), belongs_to=1)
    capsys.readouterr()
    rest = Recipe()
    assert_same(run(rest, belongs_to=2), whole["sgd"])
    assert rest.calls == STEPS
    first = capsys.readouterr().err.splitlines()[0]
    assert first == "state.pt belongs to other options, inputs or code; starting from the beginning"


def test_a_damaged_state_is_not_taken_up(
    run: Callable[..., Run], whole: dict[str, Run], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(StoppedError):
        run(Recipe(5, stop))
    content = Path("state.pt").read_bytes()
    Path("state.pt").write_bytes(content[: len(content) // 2])
    capsys.readouterr()
    assert_same(run(), whole["sgd"])
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith("state.pt is not readable (")
    assert first.endswith("); starting from the beginning")


# ------------------------------------------------------------------ a loss that is not finite


def samples_of(images: Tensor, description: Architecture) -> list[int]:
    """The numbers of the samples, read off their pixels."""
    pixels = (images[:, 0, 0, 0] * description.std[0] + description.mean[0]) * 255
    return sorted(round(float(value) / 5) for value in pixels)


@pytest.mark.parametrize("step", [0, 4, 8])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_the_step_and_its_samples_are_named(
    run: Callable[..., Run], description: Architecture, step: int, value: float
) -> None:
    training = TRAINING.model_copy(update={"augmentation": STILL})
    recipe = Recipe(step, lambda loss: loss * value)
    with pytest.raises(UserError) as caught:
        run(recipe, training)
    assert str(caught.value) == (
        f"digits/run/3: the loss of step {step} is {value}. "
        f"Its batch holds the samples {samples_of(recipe.batches[step], description)}. "
        "Hint: A smaller learning rate, `warmup_steps` or `clip_grad` often helps."
    )
    assert len(recipe.batches) == step + 1


def test_a_broken_state_is_never_saved(run: Callable[..., Run], whole: dict[str, Run]) -> None:
    """The weights are spoilt when the loss is looked at; a rerun must not go on from them."""
    with pytest.raises(UserError):
        run(Recipe(4, lambda loss: loss * math.nan))
    rest = Recipe()
    assert_same(run(rest), whole["sgd"])
    assert rest.calls == STEPS - 4


# ------------------------------------------------------------------ what it says meanwhile


def test_says_how_far_it_is_within_an_epoch(
    run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run()
    assert [line.split("  ")[0] for line in capsys.readouterr().err.splitlines()] == [
        "epoch 1/3", "epoch 2/3", "epoch 3/3",
    ]  # fmt: skip
    monkeypatch.setattr("finecal.training.progress.EVERY", 0.0)
    _, history = run(state="other.pt")
    lines = [line.split("  ") for line in capsys.readouterr().err.splitlines()]
    assert [line[:2] for line in lines[:2]] == [["epoch 1/3", "step 1/3"], ["epoch 1/3", "step 2/3"]]
    assert lines[2][:2] == ["epoch 1/3", f"loss {history[1]['loss']:.4f}"]
    assert len(lines) == STEPS
