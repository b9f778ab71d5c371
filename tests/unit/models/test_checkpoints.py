"""Checkpoints of any origin become the model that they are, its head in the data set's order, or one clear error."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
import torchvision
import yaml
from torch import Tensor, nn

from finecal.errors import UserError
from finecal.models.build import Architecture, architecture, build, head
from finecal.models.checkpoints import load_as, read_checkpoint
from finecal.models.files import load_model, save_model
from finecal.plan.network import list_hub_models
from finecal.plan.options import own_weights
from finecal.plan.plan import Plan

CLASSES = ("ant", "bee", "cod", "dab")
OTHER_ORDER = ("dab", "cow", "ant", "cod", "bee")  # a head with one class more


def described(classes: tuple[str, ...] = CLASSES, channels: int = 3, **more: Any) -> Architecture:
    backbone = {"model": "test_resnet", "options": {}, "image_size": 32, **more}
    return architecture(backbone, classes, channels)


def model_of(classes: int = 4, channels: int = 3, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return timm.create_model("test_resnet", num_classes=classes, in_chans=channels).eval()


def logits(model: nn.Module, channels: int = 3) -> Tensor:
    images = torch.randn(5, channels, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found: Tensor = model.eval()(images)
    return found


def write_folder(folder: Path, model: nn.Module, names: tuple[str, ...] | None = None) -> str:
    config = {"label_names": list(names)} if names else {}
    timm.models.save_for_hf(model, str(folder), model_config=config, safe_serialization=True)
    return str(folder)


def error_of(path: Path, description: Architecture | None = None, keep_head: bool = True, **names: Any) -> str:
    with pytest.raises(UserError) as caught:
        load_as(read_checkpoint(path, **names), description or described(), keep_head=keep_head)
    return str(caught.value)


# ------------------------------------------------------------------ files


def prefixed(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{key}": value for key, value in state.items()}


FORMS = {
    "plain": lambda state: state,
    "state_dict, as timm and Lightning": lambda state: {"epoch": 3, "state_dict": prefixed(state, "model.")},
    "model, as torchvision's scripts": lambda state: {"model": state, "optimizer": {"lr": 0.1}, "epoch": 1},
    "DistributedDataParallel": lambda state: prefixed(state, "module."),
    "compiled inside DistributedDataParallel": lambda state: {"state_dict": prefixed(state, "module._orig_mod.")},
    "averaged weights go first": lambda state: {
        "state_dict": {key: torch.zeros_like(value) for key, value in state.items()},
        "state_dict_ema": state,
    },
    "beside numbers": lambda state: {"epoch": 3, "lr": 0.1, "name": "mine", "best": None, **state},
    "model_state": lambda state: {"model_state": state, "scheduler": {"step": 3}},
    "nested twice": lambda state: {"model": {"state_dict": state}},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".ckpt"])
def test_a_state_dict_as_trainers_write_it(form: str, suffix: str, tmp_path: Path) -> None:
    model, path = model_of(), tmp_path / f"weights{suffix}"
    torch.save(FORMS[form](model.state_dict()), path)
    assert torch.equal(logits(load_as(read_checkpoint(path), described(), keep_head=True)), logits(model))


def test_safetensors_of_another_project(tmp_path: Path) -> None:
    model, path = model_of(), tmp_path / "weights.safetensors"
    safetensors.torch.save_file(model.state_dict(), path)
    assert torch.equal(logits(load_as(read_checkpoint(path), described(), keep_head=True)), logits(model))


def test_torchvision_s_resnet_is_timm_s(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=4)
    torch.save(model.state_dict(), tmp_path / "resnet18.pth")
    loaded = load_as(read_checkpoint(tmp_path / "resnet18.pth"), described(model="resnet18"), keep_head=True)
    torch.testing.assert_close(logits(loaded), logits(model))


def facebook_s(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """ConvNeXt's tensors as its authors call them; timm's names differ, also those of the head."""
    named = {}
    for key, tensor in state.items():
        name = re.sub(r"^stem\.", "downsample_layers.0.", key)
        name = re.sub(r"^stages\.(\d+)\.downsample\.", r"downsample_layers.\1.", name)
        name = name.replace(".blocks.", ".").replace("conv_dw", "dwconv").replace("mlp.fc", "pwconv")
        named[name.replace("head.fc.", "head.").replace("head.norm.", "norm.")] = tensor
    return named


def test_names_that_timm_knows_are_its_own_before_the_head_is_looked_for(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = timm.create_model("test_convnext", num_classes=5)
    path = tmp_path / "convnext.pth"
    torch.save({"model": facebook_s(model.state_dict())}, path)
    assert "head.fc.weight" not in torch.load(path)["model"]
    description = described(model="test_convnext")
    loaded = load_as(read_checkpoint(path, OTHER_ORDER), description, keep_head=True)
    rows = [OTHER_ORDER.index(name) for name in CLASSES]
    torch.testing.assert_close(logits(loaded), logits(model)[:, rows])
    trained = load_as(read_checkpoint(path), description, keep_head=False)
    assert head(trained).out_features == 4
    assert torch.equal(trained.state_dict()["stem.0.weight"], model.state_dict()["stem.0.weight"])
    assert "its head has 5 classes, the data set has 4" in error_of(path, description)


def test_a_layer_that_timm_would_leave_out_is_refused(tmp_path: Path) -> None:
    """timm passes over `pre_logits`, between the features and the head of its first vision transformers."""
    state = timm.create_model("test_vit", num_classes=4, img_size=32).state_dict()
    width = state["head.weight"].shape[1]
    torch.save({**state, "pre_logits.fc.weight": torch.ones(width, width)}, tmp_path / "vit.pth")
    description = described(model="test_vit")
    assert "its head reads the layer of 'pre_logits.fc.weight'" in error_of(tmp_path / "vit.pth", description)
    assert load_as(read_checkpoint(tmp_path / "vit.pth"), description, keep_head=False)


def test_numbers_of_numpy_1(tmp_path: Path) -> None:
    """They name the module that NumPy 2 has renamed."""
    written = io.BytesIO()
    torch.save({"model": model_of().state_dict(), "best": np.float64(0.7), "hits": np.arange(3)}, written)
    with zipfile.ZipFile(written) as new, zipfile.ZipFile(tmp_path / "old.pth", "w") as old:
        for name in new.namelist():
            content = new.read(name)
            if name.endswith("data.pkl"):
                assert b"numpy._core.multiarray" in content
                content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
            old.writestr(name, content)
    assert torch.equal(
        logits(load_as(read_checkpoint(tmp_path / "old.pth"), described(), keep_head=True)), logits(model_of())
    )


def test_half_precision_is_widened(tmp_path: Path) -> None:
    model = model_of().half().float()
    torch.save(model.half().state_dict(), tmp_path / "half.pth")
    loaded = load_as(read_checkpoint(tmp_path / "half.pth"), described(), keep_head=True)
    assert head(loaded).weight.dtype == torch.float32
    torch.testing.assert_close(logits(loaded), logits(model.float()))


def test_colour_becomes_grey(tmp_path: Path) -> None:
    """timm sums the weights of the three channels: a grey image gives what its copy in three channels gave."""
    model = model_of()
    torch.save(model.state_dict(), tmp_path / "colour.pth")
    loaded = load_as(read_checkpoint(tmp_path / "colour.pth"), described(channels=1), keep_head=True)
    grey = torch.randn(3, 1, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(loaded.eval()(grey), model(grey.expand(-1, 3, -1, -1)))


def test_position_embeddings_of_another_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = timm.create_model("test_vit", num_classes=4, img_size=64)
    torch.save(model.state_dict(), tmp_path / "vit.pth")
    loaded = load_as(read_checkpoint(tmp_path / "vit.pth"), described(model="test_vit"), keep_head=True)
    assert loaded.pos_embed.shape != model.pos_embed.shape
    assert torch.equal(loaded.state_dict()["blocks.0.attn.qkv.weight"], model.state_dict()["blocks.0.attn.qkv.weight"])


# ------------------------------------------------------------------ heads


def test_rows_are_found_by_the_names_of_classes(tmp_path: Path) -> None:
    model = model_of(classes=5)
    folder = write_folder(tmp_path / "folder", model, OTHER_ORDER)
    loaded = load_as(read_checkpoint(folder), described(), keep_head=True)
    rows = [OTHER_ORDER.index(name) for name in CLASSES]
    torch.testing.assert_close(logits(loaded), logits(model)[:, rows], rtol=0, atol=1e-6)
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    named = load_as(read_checkpoint(tmp_path / "weights.pth", OTHER_ORDER), described(), keep_head=True)
    assert torch.equal(logits(named), logits(loaded))


def test_a_file_of_finecal_says_its_classes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    description = described(("dab", "cod", "bee", "ant"))
    model = build(description, weights="random")
    save_model(tmp_path / "model.safetensors", model, description, provenance={})
    loaded = load_as(read_checkpoint(tmp_path / "model.safetensors"), described(), keep_head=True)
    assert torch.equal(logits(loaded), logits(model).flip(1))


def test_a_config_that_has_nothing_to_do_with_the_file(tmp_path: Path) -> None:
    model = model_of()
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    safetensors.torch.save_file(model.state_dict(), tmp_path / "model.safetensors")
    folder = write_folder(tmp_path / "folder", model, ("dab", "cod", "bee", "ant"))
    for content in ("{", "[]", '{"lr": 0.1}', (Path(folder) / "config.json").read_text()):
        (tmp_path / "config.json").write_text(content)
        loaded = load_as(read_checkpoint(tmp_path / "weights.pth"), described(), keep_head=True)
        assert torch.equal(logits(loaded), logits(model))
    # Under timm's own name it belongs to the weights, if timm has written it.
    of_folder = load_as(read_checkpoint(tmp_path / "model.safetensors"), described(), keep_head=True)
    assert torch.equal(logits(of_folder), logits(model).flip(1))
    (tmp_path / "config.json").write_text('{"lr": 0.1}')
    alone = load_as(read_checkpoint(tmp_path / "model.safetensors"), described(), keep_head=True)
    assert torch.equal(logits(alone), logits(model))


def test_a_cosine_head(tmp_path: Path) -> None:
    description = described(head="cosine", head_scale=7.0)
    model = build(description, weights="random")
    torch.save(model.state_dict(), tmp_path / "cosine.pth")
    loaded = load_as(read_checkpoint(tmp_path / "cosine.pth"), description, keep_head=True)
    assert torch.equal(logits(loaded), logits(model))


def test_a_head_that_is_trained_anyway_need_not_fit(tmp_path: Path) -> None:
    model = model_of(classes=9)
    torch.save(model.state_dict(), tmp_path / "nine.pth")
    without = {key: value for key, value in model.state_dict().items() if not key.startswith("fc.")}
    torch.save(without, tmp_path / "body.pth")
    for name in ("nine.pth", "body.pth"):
        loaded = load_as(read_checkpoint(tmp_path / name), described(), keep_head=False)
        assert head(loaded).out_features == 4
        assert torch.equal(loaded.state_dict()["layer1.0.conv1.weight"], model.state_dict()["layer1.0.conv1.weight"])


def test_heads_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(model_of(classes=9).state_dict(), path)
    tail = (
        "Without training the head is taken as it is. Hint: Name the classes of its rows (`class_names`), or train the "
        "head (`pretraining.training`)."
    )
    assert error_of(path) == f"{path}: its head has 9 classes, the data set has 4. {tail}"
    assert error_of(path, names=["a"]) == f"{path}: 1 class name for a head with 9 rows. Every row needs a name."
    names = [str(k) for k in range(9)]
    assert error_of(path, names=names) == (
        f"{path}: its head has no class 'ant', 'bee', 'cod', 'dab'; it has '0', '1', '2', '3', '4', '5', …. {tail}"
    )
    torch.save(timm.create_model("test_resnet", num_classes=0).state_dict(), path)
    assert error_of(path) == f"{path}: it has no head (fc.weight). {tail}"


# ------------------------------------------------------------------ what is no checkpoint


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("was-run"),))


def test_code_in_a_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for content, named in (
        ({"state_dict": model_of().state_dict(), "extra": Hostile()}, "builtins.getattr, pathlib.Path"),
        (model_of(), "timm.layers."),
    ):
        torch.save(content, "weights.pth")
        assert error_of(Path("weights.pth")).startswith(f"weights.pth: it holds more than tensors: {named}")
    assert not Path("was-run").exists()


def written(**options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(model_of().state_dict(), file, **options)
    return file.getvalue()


DAMAGED: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "a word": lambda: b"hello",
    "a page": lambda: b"<html>404 not found</html>",
    "zeros": lambda: bytes(100),
    "an empty stack": lambda: b"\x80\x02.",
    "half": lambda: written()[: len(written()) // 2],
    "half of the old format": lambda: written(_use_new_zipfile_serialization=False)[:3000],
    "bytes changed": lambda: written().replace(b"_rebuild_tensor_v2", b"_rebuild_parameter"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_checkpoint(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(DAMAGED[damage]())
    said = ("not readable as a checkpoint (", "it holds more than tensors", "it is ")
    assert error_of(path).startswith(tuple(f"{path}: {one}" for one in said))


def test_bytes_drawn_at_random_in_a_checkpoint(tmp_path: Path) -> None:
    """Some changes leave a checkpoint that can be read; none leads to another error than the one for users."""
    path, random = tmp_path / "weights.pth", Random(0)
    for whole in (written(), written(_use_new_zipfile_serialization=False)):
        for _ in range(60):
            content = bytearray(whole)
            for _ in range(4):
                content[random.randrange(2000)] = random.randrange(256)
            path.write_bytes(content)
            with suppress(UserError), warnings.catch_warnings(action="ignore"):
                read_checkpoint(path)


@pytest.mark.parametrize("metadata", ["{", "[]", "{}", '{"architecture": {"classes": null}}'])
def test_metadata_that_make_no_sense(metadata: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file(model_of().state_dict(), path, metadata={"finecal": metadata})
    assert error_of(path) == (
        f"{path}: its metadata 'finecal' do not name the classes. finecal writes them as JSON with "
        "`architecture.classes`."
    )


def test_a_dict_that_holds_itself(tmp_path: Path) -> None:
    content: dict[str, Any] = {"epoch": 3}
    content["model"] = content
    torch.save(content, tmp_path / "weights.pth")
    assert "no state dict in it, but 'epoch', 'model'" in error_of(tmp_path / "weights.pth")


def test_files_that_are_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"epoch": 3, "lr": 0.1}, path)
    assert error_of(path).startswith(f"{path}: no state dict in it, but 'epoch', 'lr'. Looked for state_dict_ema")
    torch.save([1, 2], path)
    assert error_of(path) == f"{path}: it holds list, a state dict is needed."
    torch.save(model_of().state_dict(), path)
    path.write_bytes(path.read_bytes()[:-2000])
    assert error_of(path).startswith(f"{path}: ")
    (tmp_path / "weights.safetensors").write_bytes(b"nothing")
    assert "not readable as a checkpoint (" in error_of(tmp_path / "weights.safetensors")
    assert error_of(tmp_path / "gone.pth").startswith(f"{tmp_path / 'gone.pth'}: there is no file")
    broken = model_of()
    with torch.no_grad():
        head(broken).bias[1] = torch.nan
    torch.save(broken.state_dict(), path)
    assert error_of(path) == f"{path}: the tensor 'fc.bias' has values that are NaN or infinite."


def test_tensors_that_do_not_fit_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    state = model_of().state_dict()
    del state["bn1.weight"]
    state["bn1.bias"] = torch.zeros(3)
    state["extra.weight"] = torch.zeros(2, 5)
    torch.save(state, path)
    wanted = model_of().state_dict()
    size = wanted["bn1.bias"].shape[0]
    assert error_of(path) == (
        f"{path}: these weights are not those of 'test_resnet'. Tensors: 1 missing (bn1.weight ({size})); "
        f"1 unexpected (extra.weight (2, 5)); 1 of another shape (bn1.bias (3) instead of ({size})). "
        "Hint: Check the model's name, its options, `image_size` and the number of channels."
    )
    torch.save(timm.create_model("test_vit", num_classes=4).state_dict(), path)
    assert error_of(path, keep_head=False).startswith(
        f"{path}: the names of its tensors are not those of 'test_resnet'. It has 'cls_token', 'pos_embed', "
        "'patch_embed.proj.weight', …; timm's are 'conv1.0.weight', "
    )


# ------------------------------------------------------------------ folders


def test_a_folder_says_model_options_and_preprocessing(tmp_path: Path) -> None:
    model = timm.create_model("test_resnet", num_classes=4, global_pool="max")
    model.pretrained_cfg = {**model.pretrained_cfg, "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
    folder = write_folder(tmp_path / "folder", model, CLASSES)
    description = described(model=f"local-dir:{folder}")
    assert (description.model, description.mean, description.std) == ("test_resnet", (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert description.options["global_pool"] == "max"
    loaded = load_as(read_checkpoint(folder), description, keep_head=True)
    assert torch.equal(logits(loaded), logits(model))
    # What is saved needs the folder no more.
    save_model(tmp_path / "model.safetensors", loaded, description, provenance={})
    (tmp_path / "folder").rename(tmp_path / "elsewhere")
    again, _ = load_model(tmp_path / "model.safetensors")
    assert torch.equal(logits(again), logits(model.to(memory_format=torch.channels_last)))


# ------------------------------------------------------------------ studies


def study(folder: Path, **changes: Any) -> str:
    text = yaml.safe_dump({"extends": "digits", "oracle_fine_tuning": False, "calibrators": ["none", "alg"], **changes})
    (folder / "mine.yaml").write_text(text)
    return str(folder / "mine.yaml")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a checkpoint a.pth and a timm folder."""
    monkeypatch.chdir(tmp_path)
    torch.save(model_of(10, 1).state_dict(), "a.pth")
    write_folder(tmp_path / "folder", model_of(10, 1), tuple("0123456789"))
    return tmp_path


ONE_RUN = {"splits": {"mine": {"kind": "classes", "fine_tuning": [0, 1]}}, "seeds": [0]}
STUDY_ERRORS: dict[str, tuple[dict[str, Any], str]] = {
    "no file": (
        {"backbones": {"mine": {"model": "test_resnet", "weights": "b.pth"}}},
        "backbones.mine.weights: there is no file 'b.pth'. The path is relative to the working directory.",
    ),
    "another kind of file": (
        {"backbones": {"mine": {"model": "test_resnet", "weights": "mine.yaml"}}},
        "backbones.mine.weights: 'mine.yaml' is no checkpoint. "
        "Its name must end in .safetensors, .pth, .pt, .bin, .ckpt, .tar, .th, .pyth.",
    ),
    "no folder": (
        {"backbones": {"mine": {"model": "local-dir:nowhere"}}},
        "backbones.mine.model: there is no file 'nowhere'. The path is relative to the working directory.",
    ),
    "a folder that is none of timm's": (
        {"backbones": {"mine": {"model": "local-dir:empty"}}},
        "backbones.mine.model: the folder 'empty' has no config.json. "
        "Folders are those of timm (`timm.models.save_for_hf`), transformers and `finecal export`.",
    ),
    "names without weights": (
        {"backbones": {"test_resnet": {"class_names": ["a"]}}},
        "backbones.test_resnet: `class_names` belong to `weights`.",
    ),
    "a name twice": (
        {"backbones": {"test_resnet": {"weights": "a.pth", "class_names": ["a", "a"]}}},
        "backbones.test_resnet.class_names: the class 'a' is there twice.",
    ),
    "an imported recipe that trains": (
        {"recipes": {"mine": {"weights": "a.pth", "training": {"lr": 0.1}}}},
        "A recipe with `weights` is not trained, so `training` has no effect.",
    ),
    "pcv of an imported recipe": (
        {"recipes": {"mine": {"weights": "a.pth"}}, "calibrators": ["none", "pcv"]},
        "calibrators.pcv: pcv needs further trainings, the recipe 'mine' is a checkpoint and is not trained. "
        "Hint: Leave it out, or give the trained recipes a study of their own.",
    ),
    "one checkpoint for two splits": (
        {"recipes": {"mine": {"weights": "a.pth"}}, "seeds": [0]},
        "recipes.mine.weights: 'a.pth' would be two runs, "
        "results/digits/printed-handwritten/test_resnet/mine/half0/seed0 and "
        "results/digits/printed-handwritten/test_resnet/mine/half1/seed0. "
        "Hint: Put {split} into the path, or leave one of the two out.",
    ),
    "one checkpoint for the upper bound too": (
        {"recipes": {"mine": {"weights": "a.pth"}}, **ONE_RUN, "oracle_fine_tuning": True},
        "Hint: Fine-tuning on all classes is another model; without one, say `oracle_fine_tuning: false`.",
    ),
    "a checkpoint of one seed is not there": (
        {"recipes": {"mine": {"weights": "{seed}.pth"}}, **ONE_RUN},
        "recipes.mine.weights: there is no file '0.pth'. The path is relative to the working directory.",
    ),
    "an unknown placeholder": (
        {"recipes": {"mine": {"weights": "{sead}.pth"}}, **ONE_RUN},
        "recipes.mine.weights: unknown placeholder '{sead}'. Known, closest first: {seed}, ",
    ),
}


@pytest.mark.parametrize("case", STUDY_ERRORS)
def test_a_mistake_in_a_study(case: str, place: Path) -> None:
    (place / "empty").mkdir()
    changes, message = STUDY_ERRORS[case]
    with pytest.raises(UserError) as caught:
        Plan([study(place, **changes)])
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(place / "mine.yaml"))


def test_options_name_the_checkpoint(place: Path) -> None:
    (place / "names.txt").write_text("zero\none\n")
    backbones = {
        "file": {"model": "test_resnet", "weights": "a.pth", "class_names": "names.txt"},
        "folder": {"model": "local-dir:folder"},
    }
    plan = Plan([study(place, backbones=backbones, pretraining={"weights": "hub", "training": None}, image_size=160)])
    file, folder = (plan.options("pretrain", "digits", name) for name in backbones)
    assert own_weights(file) == "a.pth"
    assert file["backbone"]["class_names"] == ["zero", "one"]
    assert own_weights(folder) == "folder"
    assert list_hub_models(plan) == []


def test_an_imported_recipe_has_no_training(place: Path) -> None:
    recipes, backbones = {"mine": {"weights": "{backbone}.pth"}}, {"a": {"model": "test_resnet"}}
    plan = Plan([study(place, recipes=recipes, backbones=backbones, **ONE_RUN)])
    (run,) = plan.trainings
    assert plan.checkpoint_of(run) == "a.pth"
    assert set(plan.options("finetune", "digits", "a", "mine")["training"].values()) == {None}


def test_a_study_without_checkpoints_has_the_options_it_had() -> None:
    """A new key would make every pretraining out of date."""
    plan = Plan(["digits"])
    backbone = plan.options("pretrain", "digits", "test_resnet")["backbone"]
    assert set(backbone) == {"model", "options", "head", "head_scale", "learn_head_scale", "image_size"}
    finetune = plan.options("finetune", "digits", "test_resnet", "full")
    assert set(finetune) == {"image_size", "recipe", "options", "training"}
