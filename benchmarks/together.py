"""Does it pay to train several runs in one process at the same time, as the pseudo-splits of a run could be?

    uv run python benchmarks/together.py [--runs MODEL:SIZE:BATCH …] [--copies 4] [--steps 4] [--repeats 5]
        [--device auto] [--threads N] [--quick]

`copies` models of one kind, each with its own weights, batches and optimiser, take `steps` steps of SGD each:

* one after another: what finecal does with the pseudo-splits of a run. They share the images in memory and start once.
* in turns: one step of each, again and again; on a GPU each with a stream of its own.
* stacked: all in one step of `torch.func.vmap` over their weights.

`features` stands for the last layer alone, on features of `SIZE` numbers: a linear probe. The ways take turns in every
repeat, and the medians are compared. Nothing here fails for being slow.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from statistics import median

import timm
import torch
from _measure import table
from _workload import argument_parser, hardware, in_turns, set_up_device, synchronised
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from finecal.runtime.device import place_model

RUNS = ("features:512:64", "test_resnet:32:32")
CLASSES, LR, MOMENTUM = 10, 1e-3, 0.9

Batch = tuple[Tensor, Tensor]


class Work:
    """The models and their batches, the same for every way."""

    def __init__(self, model: str, size: int, batch: int, copies: int, steps: int, device: torch.device) -> None:
        self.model, self.size, self.device, self.steps = model, size, device, steps
        random = torch.Generator().manual_seed(0)
        shape = (batch, size) if model == "features" else (batch, 3, size, size)
        # (copies, N, …): every copy has batches of its own.
        self.inputs = torch.randn(copies, *shape, generator=random).to(device)
        self.labels = torch.randint(CLASSES, (copies, batch), generator=random).to(device)

    def new_models(self) -> list[nn.Module]:
        torch.manual_seed(0)
        return [place_model(self._new(), self.device).train() for _ in self.inputs]

    def _new(self) -> nn.Module:
        if self.model == "features":
            return nn.Linear(self.size, CLASSES)
        return timm.create_model(self.model, num_classes=CLASSES)


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), LR, momentum=MOMENTUM, fused=(next(model.parameters()).is_cuda or None))


def step(model: nn.Module, optimizer: torch.optim.Optimizer, inputs: Tensor, labels: Tensor) -> None:
    loss = nn.functional.cross_entropy(model(inputs), labels)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def one_after_another(work: Work) -> float:
    models = [(model, sgd(model)) for model in work.new_models()]
    start = synchronised(work.device)
    for number, (model, optimizer) in enumerate(models):
        for _ in range(work.steps):
            step(model, optimizer, work.inputs[number], work.labels[number])
    return synchronised(work.device) - start


def by_turns(work: Work) -> float:
    models = [(model, sgd(model)) for model in work.new_models()]
    on_gpu = work.device.type == "cuda"
    streams = [torch.cuda.stream(torch.cuda.Stream()) if on_gpu else contextlib.nullcontext() for _ in models]
    start = synchronised(work.device)
    for _ in range(work.steps):
        for number, (model, optimizer) in enumerate(models):
            with streams[number]:
                step(model, optimizer, work.inputs[number], work.labels[number])
    return synchronised(work.device) - start


def stacked(work: Work) -> float:
    models = work.new_models()
    weights, buffers = stack_module_state(models)
    base = models[0]
    momenta = {name: torch.zeros_like(value) for name, value in weights.items()}

    def loss(own: dict[str, Tensor], kept: dict[str, Tensor], inputs: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(functional_call(base, (own, kept), (inputs,)), labels)

    gradients = vmap(grad(loss), randomness="different")
    weights = {name: value.detach() for name, value in weights.items()}
    start = synchronised(work.device)
    for _ in range(work.steps):
        found = gradients(weights, buffers, work.inputs, work.labels)
        torch._foreach_mul_(list(momenta.values()), MOMENTUM)
        torch._foreach_add_(list(momenta.values()), [found[name] for name in momenta])
        torch._foreach_add_(list(weights.values()), list(momenta.values()), alpha=-LR)
    return synchronised(work.device) - start


WAYS: dict[str, Callable[[Work], float]] = {
    "one after another": one_after_another, "in turns": by_turns, "stacked": stacked,
}  # fmt: skip


def main() -> None:
    parser = argument_parser("Several trainings in one process.", repeats=5)
    parser.add_argument("--runs", nargs="+", default=RUNS, metavar="MODEL:SIZE:BATCH")
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--steps", type=int, default=4)
    args = parser.parse_args()
    if args.quick:
        args.threads, args.runs, args.copies, args.steps, args.repeats = (
            1,
            ("features:8:8", "test_resnet:32:4"),
            2,
            1,
            1,
        )

    device, threads = set_up_device(args.device, args.threads)
    torch.use_deterministic_algorithms(False)  # vmap has no deterministic form of some operations
    print(f"{hardware(device, threads)}; {args.copies} copies; median of {args.repeats} interleaved repeats\n")
    rows = []
    for model, size, batch in (run.split(":") for run in args.runs):
        work = Work(model, int(size), int(batch), args.copies, args.steps, device)
        times = in_turns({name: partial(way, work) for name, way in WAYS.items()}, args.repeats)
        taken = {name: median(found) for name, found in times.items()}
        first = taken["one after another"]
        rows += [
            [f"{model}, {size}", name, f"{1e3 * found / args.steps:,.1f}", f"{found / first:.2f}"]
            for name, found in taken.items()
        ]
    print(table(("model, size", "way", "ms for a step of all", "÷ one after another"), rows, words=2))


if __name__ == "__main__":
    main()
