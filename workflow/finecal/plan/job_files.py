"""The files that a job reads and writes, by its stage: what is looked at before it begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from finecal import paths
from finecal.paths import PRETRAINED, RUN
from finecal.plan.estimate import FLOAT, count_parameters
from finecal.plan.stage import Stage

if TYPE_CHECKING:
    from finecal.plan.plan import Plan

_SOURCE, _TARGET = (paths.IMAGES.replace("{domain}", f"{{{one}}}") for one in ("source", "target"))
_START, _MODEL = f"{PRETRAINED}/{paths.MODEL}", f"{RUN}/{paths.MODEL}"
_LOGITS, _CALIBRATION = f"{RUN}/{paths.LOGITS}", f"{RUN}/{paths.CALIBRATION}"
# What each job of a stage reads; some read more.
READS = {
    "pretrain": (_SOURCE,),
    "class_means": (_START, _SOURCE),
    "extract_pretrained": (_START, _TARGET),
    "finetune": (_START, _TARGET, paths.SPLIT),
    "pseudo_splits": (_START, _TARGET, paths.SPLIT),
    "extract": (_MODEL, _TARGET),
    "interpolate": (_START, _MODEL, _TARGET),
    "calibrate": (paths.SPLIT, _LOGITS),
    "evaluate": (paths.SPLIT, _CALIBRATION, paths.PRETRAINED_LOGITS, _LOGITS),
    "update_similarity": (paths.SPLIT, f"{PRETRAINED}/{paths.HEAD}", f"{RUN}/{paths.HEAD}"),
    "gamma_draws": (paths.SPLIT, _LOGITS),
    "feature_map": (paths.SPLIT, paths.PRETRAINED_LOGITS, _LOGITS),
    "export": (_MODEL,),
    "decision_regions": (paths.SPLIT, _TARGET, _START, _MODEL, _CALIBRATION),
}


def inputs_of(stage: Stage, wildcards: Mapping[str, str], plan: Plan | None) -> list[Path]:
    """Return the files that a job reads, as far as they follow from its stage; some may be missing."""
    if stage.name in ("prepare", "frame") and plan is not None:
        data_set = plan.data_set(wildcards["dataset"])
        folder = paths.downloads_folder(data_set.source)
        return [folder / one.name for one in data_set.downloads(wildcards["domain"])]
    return [_as_shown(pattern, wildcards) for pattern in READS.get(stage.name, ())]


def _as_shown(pattern: str, wildcards: Mapping[str, str]) -> Path:
    """A file; of images those that the backbone is shown, if it has its own."""
    if pattern in (_SOURCE, _TARGET):
        domain = wildcards["source" if pattern == _SOURCE else "target"]
        framed = Path(paths.FRAMED.format(**{**wildcards, "domain": domain}))
        if framed.exists():
            return framed
    return Path(pattern.format(**wildcards))


def outputs_of(stage: Stage, wildcards: Mapping[str, str]) -> list[Path]:
    """Return the files that a job writes, the first of its result first; of a training also its state."""
    files = [Path(pattern.format(**wildcards)) for pattern in stage.outputs.values()]
    return [*files, state_of(stage, files[0])] if stage.resumable else files


def state_of(stage: Stage, result: Path) -> Path:
    """Return a file in the folder where a training keeps its state."""
    name = "fold0.pt" if stage.name == "pseudo_splits" else "state.pt"
    return paths.state_folder(result.parent) / name


def sizes_of(stage: Stage, wildcards: Mapping[str, str], plan: Plan | None) -> dict[Path, int]:
    """Return file → bytes that it will have at least: a model that is trained is as large as the one it starts from."""
    if plan is None or stage.name not in ("pretrain", "finetune", "pseudo_splits"):
        return {}
    if stage.name == "pretrain":
        spec = plan.options("pretrain", wildcards["dataset"], wildcards["backbone"])
        if spec["pretraining"]["training"] is None:
            return {}
        model = FLOAT * count_parameters(spec["backbone"]["model"])[0]
        return {state_of(stage, Path(_START.format(**wildcards))): model, Path(_START.format(**wildcards)): model}
    try:
        model = Path(_START.format(**wildcards)).stat().st_size
    except OSError:  # the job says that it is missing
        return {}
    return dict(_sizes(stage, wildcards, plan, model))


def _sizes(stage: Stage, wildcards: Mapping[str, str], plan: Plan, model: int) -> Iterator[tuple[Path, int]]:
    result = Path(stage.result.format(**wildcards))
    state = state_of(stage, result)
    if stage.name == "finetune":
        run = paths.RunKey.of(str(result))
        if plan.checkpoint_of(run) is None:
            yield state, model
        yield Path(_MODEL.format(**wildcards)), model
    else:  # the states of all folds stay until the last one is done
        spec = plan.options("pseudo_splits", wildcards["dataset"], wildcards["backbone"], wildcards["recipe"])
        there = len([*state.parent.glob("fold*.pt")])
        yield state, model * max(1, spec["pseudo_splits"]["folds"] - there)
