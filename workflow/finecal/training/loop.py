"""The training loop of every recipe, resumable at any step with the same result as if never interrupted.

All randomness of step t comes from the run's coordinates and t: which samples, their augmentation, dropout.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from finecal.errors import UserError
from finecal.recipes import Context
from finecal.runtime.device import autocast, place_model, resolve_precision, seed_everything
from finecal.seeds import seed_of
from finecal.training.batches import Batches
from finecal.training.inputs import StepInputs
from finecal.training.optimizer import learning_rate_factor, make_optimizer, trained_parameters
from finecal.training.progress import ProgressLog
from finecal.training.state import Interrupted, Signals, StateFile
from finecal.training.task import Execution, TrainingTask

Observe = Callable[[nn.Module], dict[str, float]]

# What to try where a loss is not finite, by precision.
# On processors with AMX, torch 2.13 leaves parts of the gradient of a strided convolution of 1 × 1 pixels unwritten.
HINTS = {
    "float32": "A smaller learning rate, `warmup_steps` or `clip_grad` often helps",
    "bfloat16": "`precision: float32`, a smaller learning rate, `warmup_steps` or `clip_grad` often helps",
}
DEFAULT_EXECUTION = Execution()


class TrainingRun:
    """One training of a model, from its first step or from a saved state. Call `run` once.

    Parameters
    ----------
    task
        What is trained.
    state
        Where the state of the unfinished training is kept.
    observe
        Called before the first step and after every epoch with the model in evaluation mode; its numbers become columns
        of the history.
    features
        Returns the training samples' features by θ⁰, (N, D) float32, for recipes that train on them. By default they
        are computed.
    execution
        Precision and compilation.
    """

    def __init__(
        self,
        task: TrainingTask,
        state: StateFile,
        observe: Observe,
        *,
        features: Callable[[], np.ndarray] | None = None,
        execution: Execution = DEFAULT_EXECUTION,
    ) -> None:
        self._task, self._model, self._recipe, self._training = task, task.model, task.recipe, task.training
        self._state, self._observe, self._features, self._execution = state, observe, features, execution
        self._device = task.data.labels.device
        # Reading a loss makes a GPU wait, so there it is done once in a while; no state is saved with unchecked losses.
        self._check_every = 1 if self._device.type == "cpu" else 50

    def run(self) -> list[dict[str, float]]:
        """Train the model in place.

        Returns
        -------
        One row for the start and one per epoch of each of the recipe's cycles: epoch, step, loss (mean of the epoch),
        lr (of the head, at the epoch's end), seconds (of the epoch), and what `observe` returned.

        Raises
        ------
        UserError
            If a loss is not finite: with the step and the samples of the batch. If the recipe is not possible for this
            model.
        Interrupted
            After SIGTERM, SIGURG or SIGUSR1, once the state is saved.
        """
        self._prepare()
        start = self._restore()
        epochs = self._total // self._per_epoch
        with Signals() as signals, ProgressLog(epochs, self._per_epoch, self._inputs.batches.size) as log:
            for step in range(start, self._total):
                self._take_step(step)
                # Read once: a signal that arrives later is seen after the next step, which then saves the state.
                self._end_step(step + 1, signals.received, log)
        self._finish()
        return self._history

    def _prepare(self) -> None:
        """Count the steps, let the recipe choose the parameters, compile the model, and create the optimiser."""
        task, recipe = self._task, self._recipe
        batches = Batches(len(task.data.samples), self._training.batch_size, task.coordinates)
        self._per_epoch = self._training.steps_per_epoch or batches.steps_per_pass()
        self._cycle = self._per_epoch * self._training.epochs
        self._total = self._cycle * recipe.cycles
        self._losses = torch.zeros(self._per_epoch, device=self._device)  # of the current epoch's steps
        self._inputs = StepInputs(task, batches, self._total, self._features, self._execution.precision)
        of_s = torch.from_numpy(task.fine_tuning).to(self._device)
        seed_everything(seed_of(*task.coordinates, "prepare"))
        recipe.prepare(
            self._model, Context(of_s, task.data.labels, self._inputs.plain_images, self._total, task.coordinates)
        )
        if self._execution.compiled:
            self._model.compile()
        self._optimizer = make_optimizer(self._model, self._training)

    def _restore(self) -> int:
        """Load the saved state or, where there is none, observe θ⁰. Return the first step to take."""
        saved = self._state.load()
        start: int = 0 if saved is None else saved["step"]
        if saved is None:
            self._history = [self._history_row(0, math.nan, self._training.lr, 0.0)]
        else:
            self._model.load_state_dict(saved["model"])
            self._optimizer.load_state_dict(saved["optimizer"])
            self._recipe.load_state_dict(saved["recipe"])
            self._history = saved["history"]
            self._losses.copy_(saved["losses"])
            print(f"resuming at step {start} of {self._total}", file=sys.stderr, flush=True)
        self._epoch_began = time.monotonic() - (saved["seconds"] if saved else 0.0)
        self._checked = start  # the losses of all steps before this one are known to be finite
        return start

    def _take_step(self, step: int) -> None:
        """Compute the loss of a batch and change the weights."""
        seed_everything(seed_of(*self._task.coordinates, "model", step))
        self._model.train()
        self._recipe.before_step(self._model, step)
        self._set_learning_rate(step)
        learner, inputs, labels = self._inputs.load(step)
        with autocast(self._device, self._execution.precision):
            loss = self._recipe.loss(learner, inputs, labels, label_smoothing=self._training.label_smoothing)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self._training.clip_grad is not None:
            nn.utils.clip_grad_norm_(trained_parameters(self._model), self._training.clip_grad)
        self._optimizer.step()
        self._recipe.after_step(self._model, step)
        self._losses[step % self._per_epoch] = loss.detach()

    def _set_learning_rate(self, step: int) -> None:
        """Set the rate of the schedule; before it, renew the optimiser where a cycle begins or the recipe restarts."""
        if step and (step % self._cycle == 0 or self._recipe.restarts(step)):
            self._optimizer = make_optimizer(self._model, self._training)
        factor = learning_rate_factor(step % self._cycle, self._cycle, self._training.warmup_steps)
        for group in self._optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor

    def _end_step(self, done: int, signal: int | None, log: ProgressLog) -> None:
        """Check the losses, record a finished epoch, and save the state, each where it is due; stop at a signal.

        Parameters
        ----------
        done
            Number of steps taken so far, of all cycles.
        signal
            The signal that asks the job to end, if there is one.
        """
        epoch_ends = done % self._per_epoch == 0
        save = done == self._total or self._state.is_due() or signal is not None
        if save or epoch_ends or done % self._check_every == 0:
            self._check_losses(done)
            log.step(done, self._losses, self._epoch_began)
        if epoch_ends:
            lr, seconds = self._optimizer.param_groups[-1]["lr"], time.monotonic() - self._epoch_began
            self._history.append(self._history_row(done, float(self._losses.double().mean()), lr, seconds))
            log.epoch(self._history[-1])
            self._epoch_began = time.monotonic()
        if save:
            self._save(done)
        if signal is not None:
            raise Interrupted(signal)

    def _check_losses(self, done: int) -> None:
        """Raise UserError for the first loss since the last check that is not finite."""
        first = self._checked % self._per_epoch  # every epoch ends with a check, so these steps are of one epoch
        for step, value in enumerate(self._losses[first : first + done - self._checked].tolist(), self._checked):
            if not math.isfinite(value):
                raise UserError(
                    f"the loss of step {step} is {value}", where="/".join(map(str, self._task.coordinates)),
                    why=f"Its batch holds the samples {self._inputs.sample_ids(step)}",
                    hint=HINTS[resolve_precision(self._execution.precision, self._device)],
                )  # fmt: skip
        self._checked = done

    def _history_row(self, done: int, loss: float, lr: float, seconds: float) -> dict[str, float]:
        """Return one row of the history; the model is put into evaluation mode and observed."""
        self._model.eval()
        counted: dict[str, float] = {"epoch": done // self._per_epoch, "step": done}
        return {**counted, "loss": loss, "lr": lr, "seconds": seconds, **self._observe(self._model)}

    def _save(self, done: int) -> None:
        self._state.save({
            "step": done, "model": self._model.state_dict(), "optimizer": self._optimizer.state_dict(),
            "recipe": self._recipe.state_dict(), "history": self._history, "losses": self._losses,
            "seconds": time.monotonic() - self._epoch_began,
        })  # fmt: skip

    def _finish(self) -> None:
        """Let the recipe change the weights a last time."""
        self._recipe.finish(self._model)
        # Weights that a recipe has created get the memory layout of the others, as when the model is read from a file.
        place_model(self._model, self._device)
