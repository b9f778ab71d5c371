"""Plugins of other installed packages: found by entry points, listed, checked, used, and tracked by their file."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from plugin_packages import CALIBRATOR, write_package

from finecal import registry
from finecal.errors import UserError
from finecal.registry import files, loading, packages, records

POINTS = {"calibrators": {"half_gap": "finecal_extra.half_gap"}}
RECIPE = '''"""Everything is trained."""

from finecal import BaseRecipe, Model


class Options(Model):
    pass


class Recipe(BaseRecipe):
    pass
'''
Install = Callable[..., Path]


def clear_caches() -> None:
    for module in (files, loading, packages, records):
        for value in vars(module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install packages into a folder on sys.path, and forget them after the test."""
    loaded = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    clear_caches()

    def write(distribution: str, points: dict[str, dict[str, str]], **modules: str) -> Path:
        write_package(tmp_path, distribution, points, **modules)
        importlib.invalidate_caches()
        clear_caches()
        return tmp_path

    yield write
    for name in [name for name in sys.modules if name not in loaded and "extra" in name]:
        del sys.modules[name]
    clear_caches()


def extra(install: Install, text: str = CALIBRATOR) -> Path:
    return install("finecal-extra", POINTS, half_gap=text)


def test_it_is_found_described_and_loaded(install: Install) -> None:
    folder = extra(install)
    assert registry.names("calibrator") == (*registry.built_in_names("calibrator"), "half_gap")
    file = folder / "finecal_extra" / "half_gap.py"
    assert registry.record("calibrator", "half_gap") == registry.Record(
        "calibrator",
        "half_gap",
        file,
        "Half of the average logit gap. With more words.",
        "finecal-extra",
        "Nobody 2026",
    )
    assert "finecal_extra" not in sys.modules  # nothing of it was imported to know this
    found = registry.calibrator_record("half_gap")
    assert found.reads == {"train_fine_tuning"}
    assert found.make(found.options(part=0.25)).options.part == 0.25


def test_a_recipe_is_found(install: Install) -> None:
    install("finecal-extra", {"recipes": {"mine": "finecal_extra.mine"}}, mine=RECIPE)
    assert registry.recipe_record("mine").package == "finecal-extra"
    assert registry.package_of("recipe", "full") == ""


def test_a_data_set_is_found_and_used_in_a_study(install: Install) -> None:
    from finecal.config.load import parse_study
    from finecal.plan.code_digests import plugin_files

    text = registry.source_file("dataset", "digits").read_text("utf-8")
    folder = install("finecal-extra", {"datasets": {"numbers": "finecal_extra.numbers"}}, numbers=text)
    study = parse_study("{extends: digits, datasets: {digits: {source: numbers}}}", where="my.yaml")
    assert study.datasets["digits"].source == "numbers"
    assert registry.dataset_record("numbers").options(per_class=3).per_class == 3
    assert plugin_files("dataset", ["numbers"])[0] == folder / "finecal_extra" / "numbers.py"


def test_its_file_takes_part_in_the_identity_of_code(install: Install) -> None:
    from finecal.plan.code_digests import code_digest, file_digest, plugin_files

    folder = extra(install)
    (file,) = plugin_files("calibrator", ["half_gap"])
    assert file == folder / "finecal_extra" / "half_gap.py"
    before = code_digest("calibrate", [file]), file_digest(file)
    file.write_text(CALIBRATOR.replace("With more words", "With other words") + "# a comment\n")
    assert registry.source_file("calibrator", "half_gap") == file
    from finecal.plan import code_digests

    code_digests._definitions.cache_clear()
    assert (code_digest("calibrate", [file]), file_digest(file)) == before
    file.write_text(CALIBRATOR.replace("0.5", "0.25"))
    code_digests._definitions.cache_clear()
    assert code_digest("calibrate", [file]) != before[0]


def test_an_unknown_name_offers_the_closest(install: Install) -> None:
    extra(install)
    with pytest.raises(UserError, match=r"unknown calibrator 'half_gapp'\. Known, closest first: half_gap, "):
        registry.load("calibrator", "half_gapp")


def test_the_name_of_a_built_in_one(install: Install) -> None:
    install("finecal-extra", {"calibrators": {"alg": "finecal_extra.half_gap"}}, half_gap=CALIBRATOR)
    with pytest.raises(UserError) as caught:
        registry.names("calibrator")
    assert str(caught.value) == (
        "the entry point alg = 'finecal_extra.half_gap' of the package 'finecal-extra': the calibrator 'alg' of the "
        "package 'finecal-extra' has the name of a built-in one. Hint: Uninstall finecal-extra, or ask its authors to "
        "rename it."
    )
    assert registry.names("recipe") == registry.built_in_names("recipe")


def test_the_name_of_another_package(install: Install) -> None:
    extra(install)
    install("other-extra", {"calibrators": {"half_gap": "other_extra.half_gap"}}, half_gap=CALIBRATOR)
    with pytest.raises(UserError) as caught:
        registry.names("calibrator")
    assert str(caught.value) == (
        "the packages 'finecal-extra' and 'other-extra' both bring a calibrator 'half_gap'. Hint: Uninstall "
        "finecal-extra or other-extra, or ask its authors to rename it."
    )


def test_a_name_that_no_study_could_use(install: Install) -> None:
    install("finecal-extra", {"calibrators": {"half-gap": "finecal_extra.half_gap"}}, half_gap=CALIBRATOR)
    with pytest.raises(UserError, match=r"finecal-extra' has a name that is no Python identifier"):
        registry.names("calibrator")


@pytest.mark.parametrize("value", ["finecal_extra.nowhere", "nowhere.at_all", "finecal_extra:thing", "sys"])
def test_an_entry_point_that_leads_nowhere(install: Install, value: str) -> None:
    install("finecal-extra", {"calibrators": {"lost": value}})
    with pytest.raises(UserError) as caught:
        registry.load("calibrator", "lost")
    assert str(caught.value) == (
        f"the entry point lost = {value!r} of the package 'finecal-extra' leads to no Python file. It must name a "
        "module, such as 'my_package.my_module'."
    )


def test_a_module_that_fails_to_import(install: Install) -> None:
    folder = extra(install, '"""Half."""\nimport nowhere\n')
    assert registry.description("calibrator", "half_gap") == "Half."
    with pytest.raises(UserError) as caught:
        registry.load("calibrator", "half_gap")
    assert str(caught.value) == (
        f"{folder / 'finecal_extra' / 'half_gap.py'}:2: the entry point half_gap = 'finecal_extra.half_gap' of the "
        "package 'finecal-extra' cannot be imported, ModuleNotFoundError: No module named 'nowhere'. It must import "
        "without an error."
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"""Half."""\n', "this file defines no Options, no Calibrator, no READS. A calibrator needs it."),
        (CALIBRATOR.replace('{"train_fine_tuning"}', '{"train"}'), "unknown name in READS 'train'."),
        (CALIBRATOR.replace("class Options(Model)", "class Options"), "Options is no pydantic model."),
        (CALIBRATOR.replace("def fit", "def fitted"), "Calibrator has no method 'fit'. A calibrator needs it."),
        (CALIBRATOR.replace('"Nobody 2026"', "2026"), "PAPER is 2026. It must be text."),
    ],
)
def test_what_a_module_lacks(install: Install, text: str, message: str) -> None:
    folder = extra(install, text)
    with pytest.raises(UserError) as caught:
        registry.load("calibrator", "half_gap")
    where = f"{folder / 'finecal_extra' / 'half_gap.py'} (package 'finecal-extra')"
    assert str(caught.value).startswith(f"{where}: {message}")


def test_a_broken_package_hides_no_other_calibrator(install: Install) -> None:
    from finecal.cli.overview import describe_names

    extra(install)
    install("broken-extra", {"calibrators": {"lost": "broken_extra.nowhere"}})
    lines = describe_names("calibrators").splitlines()
    assert lines[-2].endswith("  Half of the average logit gap. With more words. (package finecal-extra)")
    assert lines[-1].split(maxsplit=1) == [
        "lost",
        "Cannot be used: the entry point lost = 'broken_extra.nowhere' of the package 'broken-extra' leads to no "
        "Python file. It must name a module, such as 'my_package.my_module'.",
    ]
    assert len(lines) == len(registry.built_in_names("calibrator")) + 2


def test_an_installed_package_calibrates(tmp_path: Path) -> None:
    """In a folder on the path of a process of its own, where `pip install --target` would put it."""
    target = write_package(tmp_path / "target", "finecal-extra", POINTS, half_gap=CALIBRATOR)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(target), os.environ.get("PYTHONPATH", "")])}
    code = """
import json, numpy as np
from finecal import Data, Labelled, Unlabelled
from finecal.calibration.parameters import calibrator
from finecal.cli import main
main(["list", "calibrators"])
method, reads, takes = calibrator({"calibrator": "half_gap", "options": {"part": 1.0}})
mask = np.array([True, False])
train = Labelled(np.array([[3.0, 1.0], [5.0, 1.0]]), np.array([0, 0]))
state = method.fit(Data(mask, {"train_fine_tuning": train}, reads, takes))
print(json.dumps([state, method.apply(Unlabelled(np.zeros((1, 2))), state, mask).tolist()]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    *lines, numbers = done.stdout.splitlines()
    assert lines[-1].split(maxsplit=1)[0] == "half_gap"
    assert json.loads(numbers) == [{"gamma": 3.0}, [[0.0, 3.0]]]
