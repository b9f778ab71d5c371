"""Checkpoints of timm's models as trainers write them: timm, torch, Lightning, accelerate, one's own wrappers."""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from origins import CLASSES, Origin, Written, shaken
from torch import nn

MODEL = "test_resnet"


def model_of(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return shaken(timm.create_model(MODEL, num_classes=CLASSES), seed)


def saved(content: Any, model: nn.Module, path: str = "weights.pth") -> Written:
    torch.save(content, path)
    return path, model


# ------------------------------------------------------------------ timm


def by_saver(average: bool) -> Written:
    model, mean = model_of(), None
    if average:
        mean = timm.utils.ModelEmaV3(model)
        shaken(mean.module, 1)
    arguments = argparse.Namespace(model=MODEL, lr=0.1, opt="sgd", data_dir=Path("images"), mean=(0.5, 0.5, 0.5))
    saver = timm.utils.CheckpointSaver(model, torch.optim.SGD(model.parameters(), 0.1), args=arguments, model_ema=mean)
    saver.save_checkpoint(3, metric=np.float64(71.5))
    return "model_best.pth.tar", mean.module if mean else model


def by_timm_s_average() -> Written:
    mean = timm.utils.ModelEmaV3(model_of())
    return saved(mean.state_dict(), mean.module)


def timm_folder() -> Written:
    model = model_of()
    timm.models.save_for_hf(model, "folder", safe_serialization=True)
    return "folder", model


# ------------------------------------------------------------------ torch


def by_averaged_model() -> Written:
    mean = torch.optim.swa_utils.AveragedModel(model_of())
    mean.update_parameters(model_of(1))
    return saved(mean.state_dict(), mean.module)


def with_numpy() -> Written:
    model = model_of()
    scores = {"best": np.float32(0.7), "epoch": np.int64(3), "curve": np.arange(3.0)}
    return saved({"model": model.state_dict(), **scores, "rng": np.random.RandomState(0).get_state()}, model)


# ------------------------------------------------------------------ Lightning


def lit_module(extra: bool = True, **parts: nn.Module) -> Any:
    import pytorch_lightning as lightning
    from torchmetrics.classification import MulticlassAccuracy

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.save_hyperparameters({"lr": 0.1, "args": argparse.Namespace(epochs=3)})
            self.model = model_of()
            for name, part in parts.items():
                setattr(self, name, part)
            self.criterion = nn.CrossEntropyLoss(weight=torch.ones(CLASSES) if extra else None)
            self.val_acc = MulticlassAccuracy(CLASSES)
            self.val_acc.persistent(extra)

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            return self.criterion(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.05)

    return Module()


def fit(module: Any, path: str, *callbacks: Any, epochs: int = 1, save_after: bool = True) -> None:
    import pytorch_lightning as lightning

    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    data = torch.utils.data.TensorDataset(images, torch.arange(4) % CLASSES)
    with warnings.catch_warnings(action="ignore"):
        trainer = lightning.Trainer(
            max_epochs=epochs, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
            callbacks=[*callbacks], enable_checkpointing=not save_after,
        )  # fmt: skip
        trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=2))
        if save_after:
            trainer.save_checkpoint(path)


def by_lightning() -> Written:
    module = lit_module()
    fit(module, "last.ckpt")
    return "last.ckpt", module.model.eval()


def by_weight_averaging() -> Written:
    """Saved while training: the averaged weights are the checkpoint's `state_dict`, the others stand beside."""
    from pytorch_lightning.callbacks import ModelCheckpoint, WeightAveraging

    averaging = WeightAveraging()
    saver = ModelCheckpoint(".", filename="averaged", every_n_train_steps=2, save_on_train_epoch_end=False)
    fit(lit_module(), "", averaging, saver, save_after=False)
    written = torch.load("averaged.ckpt", weights_only=False)
    name = "model.fc.weight"
    assert not torch.equal(written["state_dict"][name], written["current_model_state"][name])
    return "averaged.ckpt", averaging._average_model.module.model.eval()


def amid_stochastic_averaging() -> Written:
    """Saved while training: the average stands among the callbacks, without statistics of its BatchNorms."""
    from pytorch_lightning.callbacks import ModelCheckpoint, StochasticWeightAveraging

    module = lit_module()
    saver = ModelCheckpoint(".", filename="amid", every_n_train_steps=4)
    fit(module, "", StochasticWeightAveraging(0.05, swa_epoch_start=1), saver, epochs=4, save_after=False)
    written = torch.load("amid.ckpt", weights_only=False)
    module.load_state_dict(written["state_dict"])
    return "amid.ckpt", module.model.eval()


def by_stochastic_averaging() -> Written:
    from pytorch_lightning.callbacks import StochasticWeightAveraging

    module = lit_module()
    fit(module, "swa.ckpt", StochasticWeightAveraging(0.05, swa_epoch_start=1), epochs=3)
    return "swa.ckpt", module.model.eval()


def with_an_average_inside() -> Written:
    mean = torch.optim.swa_utils.AveragedModel(model_of(1))
    module = lit_module(ema_model=mean)
    fit(module, "two.ckpt")
    return "two.ckpt", mean.module.eval()


def teacher_and_student() -> Written:
    module = nn.ModuleDict({"student": model_of(), "teacher": model_of(1)})
    return saved(module.state_dict(), module["student"])


# ------------------------------------------------------------------ accelerate


def by_accelerate() -> Written:
    from accelerate import Accelerator
    from accelerate.utils import compile_regions

    class Blocks(nn.Module):  # compile_regions compiles lists of layers, which become wrapped ones inside names
        def __init__(self) -> None:
            super().__init__()
            self.model = shaken(timm.create_model("test_vit", num_classes=CLASSES, img_size=32))
            self.model.blocks = nn.ModuleList(self.model.blocks)

    torch.manual_seed(0)
    whole = Blocks()
    torch.manual_seed(0)
    wanted = shaken(timm.create_model("test_vit", num_classes=CLASSES, img_size=32))
    Accelerator(cpu=True).save_model(compile_regions(whole), "saved")
    return "saved/model.safetensors", wanted


def by_accelerate_in_parts() -> Written:
    from accelerate import Accelerator

    model = model_of()
    Accelerator(cpu=True).save_model(model, "saved", max_shard_size="200KB")
    return "saved/model.safetensors.index.json", model


def in_parts_of_torch() -> Written:
    """A folder of transformers' wrapper as its versions before 4.30 wrote it."""
    model = model_of()
    names = [*model.state_dict()]
    halves = {"pytorch_model-00001-of-00002.bin": names[::2], "pytorch_model-00002-of-00002.bin": names[1::2]}
    timm.models.save_for_hf(model, "folder", safe_serialization=True)
    Path("folder", "model.safetensors").unlink()
    for file, own in halves.items():
        torch.save({name: model.state_dict()[name] for name in own}, Path("folder", file))
    listed = {"weight_map": {name: file for file, own in halves.items() for name in own}}
    Path("folder", "pytorch_model.bin.index.json").write_text(json.dumps(listed))
    return "folder", model


def by_accelerate_state() -> Written:
    from accelerate import Accelerator

    accelerator, model = Accelerator(cpu=True), model_of()
    accelerator.prepare(model)
    accelerator.save_state("state")
    return "state/model.safetensors", model


def as_torchscript() -> Written:
    model = model_of().eval()
    torch.jit.save(torch.jit.trace(model, torch.zeros(1, 3, 32, 32)), "weights.pt")
    return "weights.pt", model


def pruned() -> Written:
    from torch.nn.utils import prune

    model = model_of()
    prune.random_unstructured(model.get_submodule("fc"), "weight", amount=0.5)  # type: ignore[no-untyped-call]
    return saved(model.state_dict(), model)


def by_pointer() -> Written:
    Path("weights.pth").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    return "weights.pth", model_of()


def under_a_key_of_its_own() -> Written:
    return saved({"my_network": model_of().state_dict(), "epoch": 3}, model_of())


def with_averaged(key: str) -> Written:
    return saved({"model": model_of(1).state_dict(), key: model_of().state_dict(), "epoch": 3}, model_of())


def with_an_incomplete_average() -> Written:
    model = model_of()
    shadow = {name: parameter.detach() for name, parameter in model_of(1).named_parameters()}
    return saved({"model": model.state_dict(), "ema": {"decay": 0.999, "shadow": shadow}}, model)


class Turned(nn.Module):
    """The model with the rows of its head in the order of the data set's classes: ant, bee, cod, dab."""

    def __init__(self, model: nn.Module, rows: list[int]) -> None:
        super().__init__()
        self.model, self.rows = model, rows

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(images)
        return logits[:, self.rows]


def with_class_to_idx() -> Written:
    numbers = {"dab": 0, "ant": 1, "cow": 2, "cod": 3, "bee": 4}
    torch.manual_seed(0)
    model = shaken(timm.create_model(MODEL, num_classes=5))
    content = {"state_dict": model.state_dict(), "class_to_idx": numbers}
    return saved(content, Turned(model, [numbers[name] for name in ("ant", "bee", "cod", "dab")]))


def of_protocol_4() -> Written:
    torch.save(model_of().state_dict(), "weights.pth", pickle_protocol=4)
    return "weights.pth", model_of()


def with_a_convolution_as_head() -> Written:
    state = model_of().state_dict()
    return saved({**state, "fc.weight": state["fc.weight"][:, :, None, None]}, model_of())


class Normalise(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(3, 1, 1))
        self.register_buffer("std", torch.ones(3, 1, 1))


# ------------------------------------------------------------------ wrappers


class Wrapper(nn.Module):
    def __init__(self, name: str, model: nn.Module, **more: nn.Module) -> None:
        super().__init__()
        for part, module in {name: model, **more}.items():
            setattr(self, part, module)


def wrapped(name: str, **more: nn.Module) -> Written:
    model = model_of()
    return saved(Wrapper(name, model, **more).state_dict(), model)


def head_outside() -> Written:
    model = timm.create_model(MODEL, num_classes=0)
    return saved(Wrapper("encoder", model, head=nn.Linear(model.num_features, CLASSES)).state_dict(), model)


def compiled(path: str = "weights.th") -> Written:
    model = model_of()
    return saved({"state_dict": torch.compile(model).state_dict()}, model, path)


def lacking() -> Written:
    model = timm.create_model("inception_v3", num_classes=CLASSES)
    state = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("Mixed_6b.")}
    return saved(state, model)


def other_patches() -> Written:
    model = timm.create_model("vit_tiny_patch16_224", num_classes=CLASSES, img_size=32, patch_size=8, depth=1)
    return saved(model.state_dict(), model)


OF_TRAINERS = [
    Origin("timm", "`CheckpointSaver`, with its arguments", MODEL, lambda: by_saver(average=False)),
    Origin("timm", "`CheckpointSaver`, with averaged weights: these", MODEL, lambda: by_saver(average=True)),
    Origin("timm", "`ModelEmaV3.state_dict()`", MODEL, by_timm_s_average),
    Origin("timm", "`save_for_hf`, a folder", MODEL, timm_folder),
    Origin(
        "timm", "a checkpoint of which a block is missing", "inception_v3", lacking, size=80,
        refused="weights.pth: these weights are not those of 'inception_v3'. Tensors: 50 missing "
        "(Mixed_6b.branch1x1.conv.weight (192, 768, 1, 1), Mixed_6b.branch1x1.bn.weight (192), "
        "Mixed_6b.branch1x1.bn.bias (192), Mixed_6b.branch1x1.bn.running_mean (192), "
        "Mixed_6b.branch1x1.bn.running_var (192), Mixed_6b.branch7x7_1.conv.weight (128, 768, 1, 1), …). Hint: "
        "Check the model's name, its options, `image_size` and the number of channels.",
    ),
    Origin(
        "timm", "a ViT with other patches", "vit_tiny_patch16_224", other_patches, options={"depth": 1},
        refused="weights.pth: its patch_embed.proj.weight covers 8 × 8 pixels, the model's 16 × 16. Hint: Take a "
        "model of timm's with these, not 'vit_tiny_patch16_224'.",
    ),
    Origin("torch", "`model.state_dict()`", MODEL, lambda: saved(model_of().state_dict(), model_of())),
    Origin("torch", "of `DataParallel`", MODEL, lambda: saved(nn.DataParallel(model_of()).state_dict(), model_of())),
    Origin("torch", "of `torch.compile`", MODEL, compiled),
    Origin("torch", "of `AveragedModel`", MODEL, by_averaged_model),
    Origin("torch", "beside NumPy's numbers", MODEL, with_numpy),
    Origin(
        "torch", "`torch.save(model)`, code", MODEL, lambda: saved(model_of(), model_of()),
        refused="weights.pth: it holds more than tensors: timm.layers.adaptive_avgmax_pool.SelectAdaptivePool2d, "
        "timm.models.resnet.BasicBlock, timm.models.resnet.Bottleneck, timm.models.resnet.ResNet, "
        "torch.nn.modules.activation.ReLU, torch.nn.modules.batchnorm.BatchNorm2d and 8 more. Only tensors and "
        "plain values are read (weights_only), since anything else could run code. Hint: Save it again with "
        "torch.save(model.state_dict(), PATH), or as safetensors.",
    ),
    Origin("torch", "under a key of one's own, the only state dict", MODEL, under_a_key_of_its_own),
    Origin("torch", "known keys below unknown ones", MODEL, lambda: saved(
        {"checkpoint": {"net": model_of().state_dict(), "epoch": 3}}, model_of()
    )),
    Origin("torch", "`model` beside `ema_model`: the latter", MODEL, lambda: with_averaged("ema_model")),
    Origin(
        "torch", "`model` beside `best_model`", MODEL, lambda: with_averaged("best_model"),
        refused="weights.pth: it holds 2 state dicts ('model', 'best_model'). Hint: Save the one that you mean alone.",
    ),
    Origin(
        "torch", "`model` beside averaged parameters without BatchNorm's statistics", MODEL,
        with_an_incomplete_average,
        refused="weights.pth: its averaged weights ('ema.shadow') lack conv1.1.running_mean, conv1.1.running_var, "
        "conv1.4.running_mean, conv1.4.running_var, bn1.running_mean, bn1.running_var and 24 more of 'model'. With "
        "which of these tensors the model was evaluated is not in the file. Hint: Save the whole state dict of the "
        "one that you mean alone.",
    ),
    Origin("torch", "beside `class_to_idx`: rows by these names", MODEL, with_class_to_idx),
    Origin("torch", "its head a 1 × 1 convolution", MODEL, with_a_convolution_as_head),
    Origin(
        "torch", "`torch.save(…, pickle_protocol=4)`", MODEL, of_protocol_4,
        refused="weights.pth: it is pickled with protocol 4. torch's reader that runs no code (weights_only) knows "
        "protocol 2, the default of torch.save. Hint: Save it again without `pickle_protocol`, or as safetensors.",
    ),
    Origin(
        "torch", "TorchScript", MODEL, as_torchscript,
        refused="weights.pt: it is a program of TorchScript. Hint: Save `model.state_dict()` of the PyTorch model "
        "instead.",
    ),
    Origin(
        "torch", "pruned, the masks beside the weights", MODEL, pruned,
        refused="weights.pth: its weights are not whole: 'fc.weight_orig' belongs to pruning or spectral "
        "normalisation. Hint: `torch.nn.utils.prune.remove` puts them together; then save the state dict.",
    ),
    Origin(
        "Git LFS", "a pointer instead of the file", MODEL, by_pointer,
        refused="weights.pth: it is a pointer of Git LFS and not the weights. Hint: `git lfs pull` fetches them.",
    ),
    Origin("Lightning", "with a weighted loss and a metric", MODEL, by_lightning),
    Origin("Lightning", "`WeightAveraging`: the averaged weights", MODEL, by_weight_averaging),
    Origin("Lightning", "`StochasticWeightAveraging`, after training", MODEL, by_stochastic_averaging),
    Origin(
        "Lightning", "`StochasticWeightAveraging`, amid training: the weights in training", MODEL,
        amid_stochastic_averaging,
    ),
    Origin("Lightning", "model and `AveragedModel` in one module: the latter", MODEL, with_an_average_inside),
    Origin(
        "torch", "two models in one file", MODEL, teacher_and_student,
        refused="weights.pth: it holds 2 models (student.…, teacher.…). Hint: Save the state dict of the one that "
        "you mean alone.",
    ),
    Origin("accelerate", "`save_model`, of compiled regions", "test_vit", by_accelerate),
    Origin("accelerate", "`save_model`, in parts", MODEL, by_accelerate_in_parts),
    Origin("timm's names", "in parts, `pytorch_model.bin.index.json`", "local-dir:folder", in_parts_of_torch),
    Origin("accelerate", "`save_state`", MODEL, by_accelerate_state),
    Origin("a module of one's own", "`backbone.` before names", MODEL, lambda: wrapped("backbone")),
    Origin("a module of one's own", "`encoder.` before names", MODEL, lambda: wrapped("encoder")),
    Origin("a module of one's own", "any name, and a loss", MODEL, lambda: wrapped("mine", arc_loss=nn.Linear(2, 2))),
    Origin(
        "a module of one's own", "body in `encoder.`, head outside", MODEL, head_outside,
        refused="weights.pth: beside the model (encoder.…) it holds head.weight, head.bias. What they do to the "
        "logits is not in the file. Hint: If they are layers after the model, make them its head; then save the "
        "state dict of 'encoder' alone.",
    ),
    Origin(
        "a module of one's own", "layers that normalise before the model", MODEL,
        lambda: wrapped("model", normalise=Normalise()),
        refused="weights.pth: beside the model (model.…) it holds normalise.mean, normalise.std. What they do to the "
        "logits is not in the file. Hint: If they normalise images, give their numbers by hand (`preprocessing: "
        "{mean: …, std: …}`); then save the state dict of 'model' alone.",
    ),
]  # fmt: skip
