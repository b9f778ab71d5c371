"""The files that a stage names are all that decide its result: else a change in one would rerun nothing."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from finecal import registry
from finecal.plan import code_digests
from finecal.plan.code_digests import PACKAGE, Identity, plugin_files
from finecal.plan.identities import FURTHER_FILES, OF_CHECKPOINTS
from finecal.plan.stages import STAGES

# Those with code: the result of a download is checked by its hash.
WITH_CODE = [stage for stage in STAGES if stage != "download"]

# Imported, but of no influence on the content of a result; everything else that a stage imports must be listed.
INFRASTRUCTURE = {
    "config/groups.py": "several studies under one name",
    "__init__.py": "the version; provenance records it",
    "download/archives.py": "unpacks what is in an archive, or refuses",
    "models/imagenet_classes.py": "the names of ImageNet's classes, which do not change",
    "runtime/scratch.py": "where archives are unpacked",
    "data/dataset.py": "hands on what data sets say; their own files are compared",
    "datasets/__init__.py": "refuses a data set of the user's own, or lets it be; names the files that are fetched",
    "download/table.py": "as for download/spec.py",
    "download/spec.py": "which files are fetched; their bytes are checked",
    "download/fetch.py": "as for download/spec.py",
    "download/resume.py": "as for download/spec.py",
    "plan/axes.py": "which figures and tables there are",
    **dict.fromkeys(
        [
            *("io/parquet.py", "io/atomic.py", "io/parts.py", "io/lease.py", "io/declared.py", "io/list_columns.py"),
            *("io/arrow_values.py", "io/provenance.py", "io/user_cache.py"),
        ],
        "how files are written and checked, not what is in them",
    ),
    "calibrators/__init__.py": "refuses a calibrator of the user's own, or lets it be",
    "calibration/__init__.py": "hands on names of calibration/contract.py",
    "models/timm_names.py": "which names are allowed",
    **dict.fromkeys(
        ["plan/stages.py", "plan/stages_of_models.py", "plan/stages_of_results.py", "plan/shared_code.py"],
        "the names of stages, files and options, which are compared as values",
    ),
    "plan/stage.py": "the same",
    **dict.fromkeys(
        [f"plan/{name}.py" for name in ("code_digests", "code_meaning", "known_meaning")], "the digests themselves"
    ),
    "io/contents.py": "tells whether files are the same; its answer is compared",
    "plan/decisive_options.py": "resolved options, which are compared as values",
    "plan/identities.py": "resolved options beside that list",
    "models/header.py": "reads what a file of weights says of its model",
    "config/extends.py": "puts the files of a study together",
    **dict.fromkeys(
        [f"schemas/{name}.py" for name in ("__init__", "columns", "inputs", "models", "overview", "results")],
        "names, types and meanings of columns; whoever changes a type raises STAGE_VERSION (test_schemas)",
    ),
    **dict.fromkeys(
        [f"config/{name}.py" for name in ("__init__", "models", "splits", "study", "training", "types")],
        "what a study may say; what it says arrives as resolved options",
    ),
    "models/chance.py": "refuses a model that guesses, or lets it be",
    **dict.fromkeys(["stages/_expected.py", "metrics/expected.py"], "refuses results that were not expected"),
    "runtime/malloc.py": "where tensors lie in memory",
    "io/large.py": "where arrays lie; of what studies fit, no rows are left out",
    "runtime/memory.py": "where pixels lie; batches are the same wherever that is (test_reader)",
    "runtime/usage.py": "what a job took, which is noted beside its results",
    "config/grids.py": "names of recipes and splits",
    "errors.py": "the wording of errors",
    "io/outside_warnings.py": "what is shown of others' warnings",
    "io/outside.py": "turns what readers raise into errors",
    "stages/_handover.py": "hands over what models/extraction.py has computed, or nothing",
    "paths.py": "where files are",
    "plan/plan.py": "resolved options, which are compared as values",
    "plan/options.py": "the same",
    **dict.fromkeys(
        [f"registry/{name}.py" for name in ("__init__", "files", "loading", "packages", "records")],
        "finds the file of a name; that file is compared",
    ),
    "training/progress.py": "what a training says meanwhile",
    "config/yaml_loader.py": "reads YAML",
    "models/plain_head.py": "refuses a model, or lets it be",
    "models/locations.py": "where a checkpoint is; jobs that take one over compare it as a further file",
    "models/row_names.py": "the same",
    "models/weight_files.py": "the same",
    "config/head_rows.py": "refuses heads whose rows nobody has named",
    "config/settings.py": "which studies, and where jobs run",
    "stages/__init__.py": "where and how a job runs",
    "training/state_folder.py": "where the state of a training is, and who may use it",
    "training/state.py": "a resumed training equals one that was never interrupted (test_loop)",
    **dict.fromkeys(
        ["config/load.py", "config/error_messages.py", "config/consistency.py"], "reads studies into resolved options"
    ),
}
# Listed where it decides the result; where it does not, the reason.
EXCEPT = {
    ("pretrain", "models/checkpoints.py"): "for checkpoints alone, whose jobs compare it as a further file",
    ("pretrain", "models/fitting.py"): "the wording of an error, but for checkpoints",
    ("pretrain", "models/zero_shot.py"): "for zero-shot heads alone, whose jobs compare it as a further file",
    ("frame", "models/heads.py"): "reads how images are shown; builds no model",
    ("frame", "models/toy.py"): "the same",
    ("frame", "models/grey.py"): "the same",
    ("frame", "models/joined_heads.py"): "the same",
    ("frame", "models/last_layer.py"): "the same",
    ("frame", "models/whole_loading.py"): "the same",
    ("frame", "data/divisions.py"): "divides samples when images are prepared; here they are divided",
    ("export", "data/divisions.py"): "the same",
    ("export", "data/packed.py"): "as for pretrain",
    ("split", "data/packed.py"): "reads the names of the classes",
    ("split", "calibration/inputs.py"): "the words fine_tuning and absent",
    ("split", "config/official_splits.py"): "compared where a split is official, as the data set's own file is",
    ("pretrain", "data/packed.py"): "reads the pixels; a change in how they are packed changes the input file",
    ("finetune", "data/packed.py"): "as for pretrain",
    ("finetune", "stages/take_over.py"): "for checkpoints alone, whose jobs compare it as a further file",
    ("class_means", "data/packed.py"): "as for pretrain",
    ("extract", "data/packed.py"): "as for pretrain",
    ("extract_pretrained", "data/packed.py"): "as for pretrain",
    ("interpolate", "data/packed.py"): "as for pretrain",
    ("finetune", "calibration/inputs.py"): "reads the split",
    ("pseudo_splits", "calibration/inputs.py"): "reads the split, and the words fine_tuning and absent",
    ("run_table", "calibration/inputs.py"): "reads the split",
    ("update_similarity", "calibration/inputs.py"): "reads the split",
    ("feature_map", "calibration/inputs.py"): "reads the split and logits.parquet",
    ("decision_regions", "data/packed.py"): "as for pretrain",
    ("decision_regions", "calibration/inputs.py"): "reads the split",
    ("figure", "tables/_text.py"): "writes tables as text",
    ("report", "plan/jobs.py"): "names the files of runs that the page reads, for provenance",
    ("report", "data/packed.py"): "reads the shape of the images",
    ("report", "calibration/inputs.py"): "reads the split",
}  # fmt: skip


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"))


def imports_of(file: Path, stage: str) -> Iterator[str]:
    """The files of finecal that a file imports, at its top or inside functions, but not for types alone.

    A module with several stages has one function for each: only that of `stage` counts.
    """
    pending: list[ast.AST] = [
        node
        for node in tree(file).body
        if not (isinstance(node, ast.FunctionDef) and node.name in STAGES and node.name != stage)
    ]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            pending += node.orelse
            continue
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file} has a relative import, which this test does not follow"
            for alias in node.names:
                yield from files_of(f"{node.module}.{alias.name}")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield from files_of(alias.name)
        pending += ast.iter_child_nodes(node)


def files_of(dotted: str) -> Iterator[str]:
    """The files that importing a dotted name runs: of each package on the way, and of the module."""
    first, *parts = dotted.split(".")
    if first != "finecal":
        return
    for end in range(len(parts) + 1):
        path = PACKAGE.joinpath(*parts[:end])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file() and has_code(file):
                yield file.relative_to(PACKAGE).as_posix()


@cache
def has_code(file: Path) -> bool:
    """Whether there is more than a docstring in a file."""
    return any(not isinstance(node, ast.Expr) for node in tree(file).body)


@cache
def closure(stage: str) -> set[str]:
    """All files that decide a stage's result, as far as imports tell."""
    entry = f"stages/{STAGES[stage].module or stage}.py"
    kind = "" if stage == "report" else STAGES[stage].plugins  # whose tables are plugins of another stage
    of_plugins = plugin_files(kind, registry.names(kind)) if kind else []
    own = {file.relative_to(PACKAGE).as_posix() for file in of_plugins}
    pending, found = {entry, *own}, set()
    while pending:
        name = pending.pop()
        found.add(name)
        imported = {
            f for f in imports_of(PACKAGE / name, stage) if f not in INFRASTRUCTURE and (stage, f) not in EXCEPT
        }
        pending |= {f for f in imported if not plugin_of(f)} - found
    return found - own


def plugin_of(file: str) -> str:
    """The kind of plugin that a file defines; the package's own file and those with an underscore define none."""
    folder, _, name = file.rpartition("/")
    kinds = {folder: kind for kind, folder in registry.KINDS.items()}
    return kinds.get(folder, "") if not name.startswith("_") else ""


@pytest.mark.parametrize("stage", WITH_CODE)
def test_a_stage_names_all_files_that_decide_its_result(stage: str) -> None:
    named = {name for name in STAGES[stage].code if not plugin_of(name) and name.endswith(".py")}
    assert closure(stage) - named == set(), (
        f"{stage}: list it in its record (finecal.plan.stages), or give a reason here why it decides nothing"
    )


@pytest.mark.parametrize("stage", WITH_CODE)
def test_a_stage_names_no_file_in_vain(stage: str) -> None:
    named = {name for name in STAGES[stage].code if not plugin_of(name) and name.endswith(".py")}
    assert named - closure(stage) == set(), f"{stage} does not import it: a change there would rerun for nothing"


@pytest.mark.parametrize("stage", WITH_CODE)
def test_the_files_exist_and_are_named_once(stage: str) -> None:
    files = STAGES[stage].code
    assert len(set(files)) == len(files)
    assert [name for name in files if not (PACKAGE / name).is_file()] == []


REFUSING = {"models/file_kinds.py": "says what a file is that is no checkpoint"}


def test_what_reads_checkpoints_is_compared_too() -> None:
    """By the jobs that take one over, beside the files of their stage."""
    pending, found = {"models/checkpoints.py"}, set()
    while pending:
        name = pending.pop()
        found.add(name)
        imported = {file for file in imports_of(PACKAGE / name, "pretrain") if file not in INFRASTRUCTURE | REFUSING}
        pending |= imported - found
    compared = {*STAGES["pretrain"].code, *(FURTHER_FILES[name] for name in OF_CHECKPOINTS)}
    assert found - compared == set()


def test_every_reason_is_still_needed() -> None:
    assert [name for name in INFRASTRUCTURE if not (PACKAGE / name).is_file()] == []
    for stage, name in EXCEPT:
        entry = PACKAGE / f"stages/{STAGES[stage].module or stage}.py"
        direct = set(imports_of(entry, stage)).union(*(imports_of(PACKAGE / f, stage) for f in closure(stage)))
        assert name in direct, f"{stage} does not import {name}"


def test_every_module_is_of_a_stage() -> None:
    for_people = {"compare_runs", "prefetch"}
    beside = {"take_over"}  # in place of finetune, whose jobs then compare it as a further file
    modules = {file.stem for file in (PACKAGE / "stages").glob("[!_]*.py")}
    assert modules == {stage.module or stage.name for stage in STAGES.values()} | for_people | beside


def test_the_identity_follows_code_and_options(tmp_path: Path) -> None:
    one, same, other = (tmp_path / name for name in ("one.py", "same.py", "other.py"))
    one.write_text("a = 1\n")
    same.write_text("# the same\na = 1\n")
    other.write_text("a = 2\n")
    first = Identity.of("split", {"b": 1, "a": {"d": (2,), "c": 3}}, [one])
    assert str(first) == str(Identity.of("split", {"a": {"c": 3, "d": [2]}, "b": 1}, [same]))
    assert str(first) != str(Identity.of("split", {"b": 1, "a": {"d": (2,), "c": 3}}, [other]))
    assert str(first) != str(Identity.of("split", {"b": 1, "a": {"d": (2,), "c": 4}}, [one]))
    assert len(str(first)) < 80
    assert list(first.modules) == [
        *(name.removesuffix(".py").replace("/", ".") for name in STAGES["split"].code),
        "one.py",
    ]
    assert Identity.recorded(json.loads(json.dumps({"version": "1", **first.record()}))) == first
    assert Identity.recorded({"version": "1", "options": {}}) is None


def test_code_known_to_compute_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The identity of the earlier code is kept, whatever further files there are."""
    own = tmp_path / "own.py"
    own.write_text("a = 1\n")
    now = code_digests.stage_digest("split")
    monkeypatch.setattr(code_digests, "_same_results", lambda: {now: "earlier"})
    assert code_digests.code_digest("split", [own]) == code_digests.combine_digests(
        ["earlier", code_digests.file_digest(own)]
    )


def test_a_data_set_brings_the_shared_files_that_it_imports() -> None:
    """Also those that they import; and none of another data set."""
    files = {file.name for file in plugin_files("dataset", ["cifar_c"])}
    assert files == {"cifar_c.py", "_cifar.py", "_corruptions.py"}
    assert "_cifar.py" in {file.name for file in plugin_files("dataset", ["vtab"])}
    assert [file.name for file in plugin_files("dataset", ["digits"])] == ["digits.py"]
