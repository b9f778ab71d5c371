"""Trainings without torch's compiler compute what they compute with it, and it is there as soon as it is used."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

START = """
import contextlib, hashlib, json, sys
from finecal.models.architectures import lean_imports

def say(found):
    print(json.dumps(found))

def there():
    return [name for name in ("torch._dynamo", "sympy", "torch.distributed.tensor") if name in sys.modules]

"""
TRAIN = """
import torch
from timm.optim import create_optimizer_v2
torch.set_num_threads(1)

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(8, 8), torch.nn.Linear(8, 3)
    def forward(self, inputs):
        return self.second(torch.relu(self.first(inputs)))

def train(name, optimizer=None, net=None, steps=3):
    torch.manual_seed(0)
    net = net or Net()
    optimizer = optimizer or create_optimizer_v2(net, opt=name, lr=0.01)
    for _ in range(steps):
        inputs = torch.randn(16, 8)
        torch.nn.functional.cross_entropy(net(inputs), torch.arange(16) % 3).backward()
        optimizer.step()
        optimizer.zero_grad()
        optimizer.load_state_dict(optimizer.state_dict())
        assert torch.is_grad_enabled()
    found = b"".join(parameter.detach().numpy().tobytes() for parameter in net.parameters())
    return hashlib.sha256(found).hexdigest(), optimizer, net

"""


def answer(code: str, *, lean: bool = True) -> Any:
    """What a program says, with or without what keeps the compiler out."""
    block = f"with {'lean_imports()' if lean else 'contextlib.nullcontext()'}:\n"
    program = START + block + "".join(f"    {line}\n" for line in code.strip().splitlines())
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_optimisers_compute_the_same_to_the_bit_without_the_compiler() -> None:
    names = [
        "sgd",
        "momentum",
        "adamw",
        "adam",
        "nadam",
        "radam",
        "rmsprop",
        "adagrad",
        "lamb",
        "lion",
        "muon",
        "adopt",
    ]
    code = f"{TRAIN}\nsay([[train(name)[0] for name in {names!r}], there()])"
    (lean, without), (full, with_all) = answer(code), answer(code, lean=False)
    assert (lean, without) == (full, [])
    assert len(with_all) == 3
    assert len(set(lean)) > 6


def test_from_the_compilers_import_on_everything_is_as_torch_has_it() -> None:
    code = (
        TRAIN
        + """
early, optimizer, net = train("adamw")
plain = [vars(torch.optim.Optimizer.zero_grad.__wrapped__)["__dynamo_disable"]]
import torch._dynamo
late, *_ = train("adamw", optimizer, net)
plain.append(vars(torch.optim.Optimizer.zero_grad.__wrapped__)["__dynamo_disable"])
say([early, late, plain[0] is plain[1], torch._dynamo.config.cache_size_limit])
"""
    )
    lean, full = answer(code), answer(code, lean=False)
    assert lean[:2] == full[:2]
    assert lean[2:] == [False, 1_000_000], "timm raises the limit when it is imported"
    assert full[2:] == [True, 1_000_000]


def test_models_and_steps_can_be_compiled() -> None:
    code = (
        TRAIN
        + """
torch.manual_seed(0)
net = Net()
optimizer = create_optimizer_v2(net, opt="adamw", lr=0.01)
before = there()
net.compile(backend="eager")
optimizer.step = torch.compile(optimizer.step, backend="eager")
say([before, train("adamw", optimizer, net)[0], "torch._dynamo" in sys.modules])
"""
    )
    lean, full = answer(code), answer(code, lean=False)
    assert (lean[0], lean[1:]) == ([], full[1:])


def test_regions_are_pooled_deterministically() -> None:
    """What torchvision asks the compiler for is asked when it is needed."""
    code = """
import torch, torchvision
before = there()
torch.use_deterministic_algorithms(True)
boxes = [torch.tensor([[0.0, 0.0, 4.0, 4.0]])]
found = torchvision.ops.roi_align(torch.arange(64.0).reshape(1, 1, 8, 8), boxes, 2)
from torchvision.ops.roi_align import roi_align
asked = sys.modules["torchvision.ops.roi_align"].is_compile_supported
say([before, found.tolist(), asked("cpu"), asked("meta"), "torch._dynamo" in sys.modules])
"""
    lean, full = answer(code), answer(code, lean=False)
    assert lean[0] == []
    assert lean[1:] == full[1:]


def test_distributed_tensors_are_recognised() -> None:
    code = """
import torch, timm.optim.muon as muon
before = [there(), isinstance(torch.ones(1), muon.DTensor)]
from torch.distributed.tensor import DTensor
distributed = torch.Tensor._make_subclass(DTensor, torch.ones(1))
say([*before, *(isinstance(one, muon.DTensor) for one in (distributed, torch.ones(1))), muon.has_dtensor])
"""
    assert answer(code) == [[], False, True, False, True]


def test_what_is_written_otherwise_is_executed_as_it_is(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As another version of torch, torchvision or timm may be; the hooks leave nothing of theirs in the module."""
    from finecal.runtime.import_hooks import executed_otherwise
    from finecal.runtime.without_dynamo import WITHOUT_DYNAMO

    (tmp_path / "other_version.py").write_text("from json import loads as is_compile_supported\nvalue = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("torchvision.ops.roi_align", "torch.optim.optimizer", "timm.optim.kron", "timm.optim.muon"):
        monkeypatch.delitem(sys.modules, "other_version", raising=False)
        with executed_otherwise({"other_version": WITHOUT_DYNAMO[name]}):
            import other_version  # type: ignore[import-not-found]
        assert (other_version.value, other_version.is_compile_supported) == (1, json.loads)
        assert type(other_version.__loader__).__name__ == "SourceFileLoader"
        assert other_version.__spec__.loader is other_version.__loader__
    monkeypatch.delitem(sys.modules, "other_version")
