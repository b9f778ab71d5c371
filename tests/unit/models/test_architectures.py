"""timm with only the architectures that are used gives what all of timm gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from finecal.config.load import load_study
from finecal.models import timm_names

STUDIES = Path(__file__).parents[3] / "workflow/studies"
# Modules of architectures; those that are called like one of their models are imported with timm.
FAMILIES = sorted({name for name, models in timm_names.modules().items() if models} - timm_names.called_like_models())
START = """
import contextlib, json, sys, warnings
from finecal.models.architectures import import_architectures, lean_imports
warnings.simplefilter("ignore")

def say(found):
    print(json.dumps(found, default=sorted))

def families():
    return {name[12:] for name in sys.modules if name.startswith("timm.models.")} & FAMILIES

"""
DIGEST = """
import hashlib
import timm, torch
import finecal.models.toy

def digest(name, device):
    torch.manual_seed(0)
    with torch.device(device):
        model = timm.create_model(name.partition(".")[0], num_classes=7)
    found = hashlib.sha256(repr(timm.get_pretrained_cfg(name)).encode())
    for key, tensor in model.state_dict().items():
        found.update(repr((key, tensor.shape, tensor.dtype)).encode())
        if device == "cpu":
            found.update(tensor.numpy().tobytes())
    found.update(str(model).encode())
    return found.hexdigest()
"""


def answer(code: str, *, lean: bool = True, path: Path | None = None) -> Any:
    """What a program says, started with what it uses of timm, or with all of it."""
    block = f"with {'lean_imports()' if lean else 'contextlib.nullcontext()'}:\n"
    inside = "".join(f"    {line}\n" for line in code.strip().splitlines())
    program = f"{START}FAMILIES = set({FAMILIES!r})\n{block}{inside}"
    search = {"PYTHONPATH": str(path)} if path else {}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env={**os.environ, **search}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def both(code: str) -> Any:
    """What a program says either way; it must be the same."""
    found = answer(code)
    assert found == answer(code, lean=False)
    return found


def models_of_studies() -> set[str]:
    """The models of the built-in studies."""
    studies = [load_study(file) for file in STUDIES.rglob("*.yaml")]
    return {backbone.model or name for study in studies for name, backbone in study.backbones.items()}


def test_the_models_of_the_studies_are_the_same_to_the_bit() -> None:
    names = sorted({*models_of_studies(), "test_vit", "test_convnext"})
    assert len(names) >= 9
    small = [name for name in names if name.startswith(("finecal_", "test_", "resnet18"))]  # the others without values
    code = f"{DIGEST}\nsay([digest(name, 'cpu' if name in {small} else 'meta') for name in {names}])"
    assert len(set(both(code))) >= len(names) - 1  # two are the same but for the tag of the weights
    few = answer(f"import_architectures({names})\nsay(families())")
    assert few == ["convnext", "resnet", "swin_transformer", "vision_transformer"]


def test_a_model_of_many_families_is_the_same() -> None:
    names = [min(timm_names.modules()[family]) for family in FAMILIES[::6]]
    code = f"{DIGEST}\nsay([digest(name, 'meta') for name in {names!r}])"
    assert len(set(both(code))) == len(names) > 12


def test_no_model_is_registered_by_two_modules() -> None:
    """Which of them gave it would depend on the order of imports."""
    everything = [name for models in timm_names.modules().values() for name in models]
    assert len(everything) == len(set(everything)) > 1000


def test_what_is_read_from_the_source_is_what_timm_registers() -> None:
    code = """
import timm
say({family: timm.list_models(module=family) for family in timm.list_modules()})
"""
    found = both(code)
    assert {family: set(models) for family, models in found.items()} == {
        family: set(models) for family, models in timm_names.modules().items() if models
    }


def test_only_what_is_asked_for_is_imported() -> None:
    code = """
import timm
none = sorted(families())
model = timm.create_model("resnet18.tv_in1k", pretrained=False)
import_architectures(["vit_small_patch16_224.augreg_in1k", "hf-hub:someone/something", "local-dir:folder"])
say([none, sorted(families()), "torch._dynamo" in sys.modules])
"""
    assert answer(code) == [[], ["resnet", "vision_transformer"], False]


def test_a_process_imports_for_several_backbones_one_after_the_other() -> None:
    """As the warm process does: outside of the block, too, and after all of timm."""
    code = """
import_architectures(["resnet18"])
first = sorted(families())
import_architectures(["test_vit", "finecal_mlp"])
then = sorted(families())
import_architectures(["unknown"])
say([first, then, len(families())])
"""
    assert answer(code, lean=False) == [["resnet"], ["resnet", "vision_transformer"], len(FAMILIES)]
    full = "import timm\nbefore = set(sys.modules)\nimport_architectures(['resnet18'])\nsay(set(sys.modules) - before)"
    assert answer(full, lean=False) == ["finecal.models.toy"]


ASKED = (
    "timm.list_models()",
    "timm.list_models('*resnet18*', pretrained=True)",
    "timm.list_pretrained('vit_tiny*')",
    "timm.list_modules()",
    "timm.models.get_deprecated_models()",
    "timm.is_model('resnet18_none')",
    "timm.is_model(model_name='vit_tiny_patch16_224')",
    "timm.get_pretrained_cfg('resnet18').tag",
    "timm.get_pretrained_cfg_value('resnet18.tv_in1k', 'mean')",
    "timm.get_pretrained_cfg('none')",
    "timm.is_model_pretrained('vit_tiny_patch16_224')",
    "timm.models.is_model_in_modules('resnet18', ['resnet'])",
    "list(timm.models.get_arch_pretrained_cfgs('resnet18'))",
    "timm.model_entrypoint('resnet18').__module__",
    "timm.models.resnet18.__name__",
    "timm.models.vision_transformer.__name__",
    "[name for name in dir(timm.models) if not name.startswith('__')]",
    "hasattr(timm.models, 'nothing')",
    "timm.list_models.__module__ + timm.list_models.__doc__",
    "timm.data.IMAGENET_DEFAULT_MEAN",
)


def test_whatever_is_asked_first_has_the_same_answer() -> None:
    """Each is asked of a timm that has just been imported."""
    code = f"""
found = []
for ask in {ASKED!r}:
    for name in [name for name in sys.modules if name.partition(".")[0] == "timm"]:
        del sys.modules[name]
    import timm
    assert not families()
    found.append(eval(ask))
say(found)
"""
    in_full = answer(f"import timm\nsay([eval(ask) for ask in {ASKED!r}])", lean=False)
    for ask, lean, full in zip(ASKED, answer(code), in_full, strict=True):
        assert lean == full, ask


def test_afterwards_timm_is_as_if_imported_in_full() -> None:
    code = """
import timm
timm.create_model("resnet18")
from timm.models import *
known = vars(timm.models._registry)
say([
    sorted(name for name in sys.modules if name.startswith("timm.")),
    sorted(name for name in vars(timm.models) if name != "__builtins__"),
    sorted(vars(timm)),
    {name: sorted(known[name]) for name in known if name.startswith("_m") and isinstance(known[name], (dict, set))},
    timm.list_models is timm.models.list_models is timm.models._registry.list_models,
    timm.list_models.__code__.co_filename.endswith("_registry.py"),
    vit_tiny_patch16_224 is timm.models.vision_transformer.vit_tiny_patch16_224,
])
"""
    assert both(code)[-3:] == [True, True, True]


def test_no_name_hides_a_module_of_architectures() -> None:
    """`timm.models.resnet` is the module either way, and `timm.models.inception_v4` the model."""
    code = "import timm, types\nsay([n for n in FAMILIES if not isinstance(vars(timm.models)[n], types.ModuleType)])"
    assert answer(code, lean=False) == []


OWN = """
import timm
from timm.models import register_model

@register_model
def resnet18(pretrained=False, **kwargs):
    return "own"

"""


@pytest.mark.parametrize("then", ["timm.create_model('resnet34')", "timm.list_models()", "timm.models.vgg"])
def test_a_model_that_somebody_registers_over_timms_stays(then: str) -> None:
    asked = "say([timm.models.model_entrypoint('resnet18')(), timm.models.is_model_in_modules('resnet18', 'resnet')])"
    assert both(f"{OWN}{then}\n{asked}") == ["own", False]


def test_an_import_that_fails_can_be_tried_again() -> None:
    code = """
import timm
sys.modules["timm.models.vgg"] = None
errors = 0
for _ in range(2):
    try:
        timm.list_models()
    except ImportError:
        errors += 1
del sys.modules["timm.models.vgg"]
say([errors, timm.is_model("vgg11"), len(timm.list_models())])
"""
    errors, vgg, count = answer(code)
    assert (errors, vgg) == (2, True)
    assert count == len(answer("import timm\nsay(timm.list_models())", lean=False))


def test_importing_finecal_changes_nothing_for_others() -> None:
    code = """
before = list(sys.meta_path)
import finecal
from finecal import BaseRecipe, load_study
import finecal.models.architectures, finecal.cli
import timm
say([before == sys.meta_path, len(families()), "__getattr__" in vars(timm.models), "torch._dynamo" in sys.modules])
"""
    assert answer(code, lean=False) == [True, len(FAMILIES), False, True]


# ------------------------------------------------------------------ other versions of timm

OTHER_REGISTRY = """
_entries = {}
def is_model(model_name): return model_name in _entries
def register_model(fn): _entries[fn.__name__] = fn; return fn
"""

NET = "from ._registry import register_model\n@register_model\ndef net18(): ...\n"


@pytest.mark.parametrize(
    "models",
    [
        "from .net import *\nfrom ._registry import is_model\n",
        "from ._registry import is_model\nfrom .net import net18\n",
        "from .net import *\nfrom ._registry import is_model\ndef __getattr__(name): raise AttributeError(name)\n",
    ],
    ids=["other functions in the registry", "no such imports", "a hook of its own"],
)
def test_another_timm_is_imported_as_it_is(models: str, tmp_path: Path) -> None:
    package = tmp_path / "timm"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("from .models import is_model\n")
    (package / "models/__init__.py").write_text(models)
    (package / "models/_registry.py").write_text(OTHER_REGISTRY)
    (package / "models/net.py").write_text(NET)
    code = "import timm\nsay([timm.is_model('net18'), timm.models.net18.__name__, 'timm.data' in sys.modules])"
    assert answer(code, path=tmp_path) == [True, "net18", False]
