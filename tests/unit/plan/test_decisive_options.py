"""What decides a stage's result: the contents of the user's own files, not where they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from finecal import registry
from finecal.errors import UserError
from finecal.plan.decisive_options import OWN_FILE, decisive_options
from finecal.plan.options import Options
from finecal.plan.plan import Plan
from finecal.plan.run_table import digest

CONFIG = json.dumps({"architecture": "test_resnet", "label_names": ["a", "b"]})


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan(**changes: Any) -> Plan:
    content = {"extends": "digits", "oracle_fine_tuning": False, "calibrators": ["none"], **changes}
    Path("mine.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return Plan(["mine.yaml"])


def pretrain(backbone: dict[str, Any], **changes: Any) -> Options:
    found = plan(backbones={"mine": backbone}, **changes)
    return decisive_options(found, "pretrain", ("digits", "mine"))


def folder(name: str, config: str = CONFIG, weights: bytes = b"weights") -> Path:
    Path(name).mkdir(parents=True)
    Path(name, "config.json").write_text(config)
    Path(name, "model.safetensors").write_bytes(weights)
    return Path(name)


@pytest.mark.parametrize("stage", ["prepare", "pretrain", "finetune", "pseudo_splits", "class_means", "split"])
def test_what_names_no_file_is_as_it_was(stage: str) -> None:
    """The notes of results that are there stay valid."""
    coordinates = {"prepare": ("digits", "printed"), "pretrain": ("digits", "test_resnet")}
    of_runs = ("digits", "test_resnet", "full")
    known = Plan(["digits"])
    split = next(run.split for run in known.runs)
    key = coordinates.get(stage) or {"class_means": of_runs[:2], "split": ("digits", split)}.get(stage, of_runs)
    wanted = known.options(stage, *(key[:1] if stage == "prepare" else key))
    assert decisive_options(known, stage, key) == wanted


@pytest.mark.parametrize(
    ("training", "apart"),
    [
        ({"optimizer": "sgdc", "backbone_lr_scale": 0.1}, True),
        ({"optimizer": "sgdc", "backbone_lr_scale": 1.0}, False),
        ({"optimizer": "sgd", "backbone_lr_scale": 0.1}, False),
        ({"optimizer": "adamw", "optimizer_options": {"corrected_weight_decay": True}, "backbone_lr_scale": 0.1}, True),
    ],
)
def test_trainings_whose_decay_was_wrong_are_made_again(training: dict[str, Any], apart: bool) -> None:
    base = {"lr": 0.01, "epochs": 2}
    found = plan(training={**base, **training}, pretraining={"training": {**base, **training}})
    tuned = decisive_options(found, "finetune", ("digits", "test_resnet", "full"))
    assert ("weight_decay_of_groups" in tuned["training"]) == apart
    first = decisive_options(found, "pretrain", ("digits", "test_resnet"))
    assert ("weight_decay_of_groups" in first["pretraining"]["training"]) == apart


def test_a_checkpoint_is_its_bytes() -> None:
    Path("a.pth").write_bytes(b"one")
    Path("sub").mkdir()
    Path("sub/b.pth").write_bytes(b"one")
    given = {"model": "test_resnet", "weights": "a.pth", "class_names": ["zero"]}
    before = pretrain(given)
    assert before["backbone"]["weights"].startswith("sha256:")
    assert pretrain({**given, "weights": "sub/b.pth"}) == before
    Path("a.pth").touch()
    assert pretrain(given) == before
    Path("a.pth").write_bytes(b"two")
    assert pretrain(given) != before


@pytest.mark.parametrize("use", ["weights", "model"])
def test_a_folder_is_what_its_files_hold(use: str) -> None:
    folder("one")
    changes: dict[str, Any] = {"pretraining": {"weights": "hub", "training": None}} if use == "model" else {}

    def found(name: str) -> Options:
        given = {"model": f"local-dir:{name}"} if use == "model" else {"model": "test_resnet", "weights": name}
        return pretrain(given, **changes)

    before = found("one")
    Path("elsewhere").mkdir()
    Path("one").rename("elsewhere/two")
    assert found("elsewhere/two") == before
    names = found(str(folder("other_names", config=CONFIG.replace('"b"', '"c"'))))
    weights = found(str(folder("other_weights", weights=b"others")))
    assert before not in (names, weights)
    assert names != weights


def test_only_the_configuration_of_a_folder_decides_where_its_weights_are_not_taken() -> None:
    changes = {"pretraining": {"weights": "random", "training": {"epochs": 1, "lr": 0.1}}}
    found = [
        pretrain({"model": f"local-dir:{folder(name, weights=name.encode())}"}, **changes) for name in ("one", "two")
    ]
    assert found[0] == found[1]
    assert "weights" not in found[0]["backbone"]


def test_the_names_beside_a_checkpoint_decide_if_they_are_read() -> None:
    place = folder("one")
    given = {"model": "test_resnet", "weights": "one/model.safetensors"}
    before, named = pretrain(given), pretrain({**given, "class_names": ["a", "b"]})
    (place / "config.json").write_text(CONFIG.replace('"b"', '"c"'))
    assert pretrain(given) != before
    assert pretrain({**given, "class_names": ["a", "b"]}) == named


def test_a_clip_is_its_folder() -> None:
    def clip(name: str) -> Options:
        return pretrain(
            {
                "model": "vit_base_patch32_clip_224",
                "zero_shot": {"model": f"local-dir:{name}", "class_names": list("abcdefghij")},
            }
        )

    Path("one").mkdir()
    for name in ("open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json", "README.md"):
        Path("one", name).write_text(name)
    before = clip("one")
    Path("one").rename("two")
    assert clip("two") == before
    Path("two/README.md").write_text("other")
    assert clip("two") == before
    found = [before]
    for name in ("open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json"):
        Path("two", name).write_text("other")
        found.append(clip("two"))
    assert [one for i, one in enumerate(found) if one in found[:i]] == []


def test_each_run_has_its_own_checkpoint() -> None:
    for seed in (0, 1):
        Path(f"{seed}.pth").write_bytes(b"%d" % seed)
    splits = {"three": {"kind": "random", "count": 3, "seed": 4}}

    def found(pattern: str) -> list[Options]:
        made = plan(recipes={"mine": {"weights": pattern}}, splits=splits, seeds=[0, 1])
        key = ("digits", "test_resnet", "mine")
        with pytest.raises(AssertionError):
            decisive_options(made, "finetune", key)
        return [decisive_options(made, "finetune", key, run) for run in made.trainings]

    before = found("{seed}.pth")
    assert before[0] != before[1]
    Path("models").mkdir()
    for seed in (0, 1):
        Path(f"{seed}.pth").rename(f"models/of_seed{seed}.pth")
    assert found("models/of_seed{seed}.pth") == before
    Path("models/of_seed1.pth").write_bytes(b"2")
    after = found("models/of_seed{seed}.pth")
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_a_file_that_went_away_since_the_study_was_read() -> None:
    Path("a.pth").write_bytes(b"one")
    made = plan(backbones={"mine": {"model": "test_resnet", "weights": "a.pth"}})
    Path("a.pth").unlink()
    with pytest.raises(UserError, match=r"backbones\.mine\.weights: there is no file 'a\.pth'"):
        decisive_options(made, "pretrain", ("digits", "mine"))


def test_where_a_plugin_of_ones_own_lies_decides_nothing() -> None:
    """Its code is compared beside the options."""
    Path("own").mkdir()
    for kind in ("recipe", "dataset"):
        name = {"recipe": "full", "dataset": "toy"}[kind]
        Path("own", f"{kind}.py").write_text(registry.source_file(kind, name).read_text("utf-8"))
    recipe = decisive_options(plan(recipes={"mine": {"recipe": "own/recipe.py"}}), "finetune", KEY)
    assert recipe["recipe"] == OWN_FILE
    made = plan(
        datasets={"mine": {"source": "own/dataset.py"}}, tasks={"mine": ["source-similar"]},
        backbones={"finecal_mlp": {}}, splits={"two": {"kind": "random", "count": 2, "seed": 0}},
    )  # fmt: skip
    assert decisive_options(made, "prepare", ("mine", "source"))["source"] == OWN_FILE


KEY = ("digits", "test_resnet", "mine")


def test_the_table_of_runs_does_not_depend_on_a_folder_s_place() -> None:
    changes: dict[str, Any] = {"pretraining": {"weights": "hub", "training": None}}
    folder("one")
    before = digest(plan(backbones={"mine": {"model": "local-dir:one"}}, **changes))
    Path("one").rename("two")
    assert digest(plan(backbones={"mine": {"model": "local-dir:two"}}, **changes)) == before
    assert before == digest(plan(backbones={"mine": {"model": "test_resnet"}}, **changes))
