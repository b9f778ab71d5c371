"""`DataSet`: what a module must provide, the defaults of what it leaves out, and the user's own files."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from finecal import registry
from finecal.data.dataset import FUNCTIONS, REQUIRED, DataSet, Sampled, Sizes
from finecal.data.packed import PackedImages
from finecal.datasets import check_plugin
from finecal.download.spec import Download, Files
from finecal.errors import UserError

SMALLEST = '''"""Mine."""
import numpy as np
from finecal.config import Model
from finecal.data.packed import PackedImages


class Options(Model):
    shift: int = 0


def domains(options):
    return ("here", "there")


def prepare(domain, options, files):
    pixels = np.full((4, 2, 2, 1), options.shift, np.uint8)
    return PackedImages(pixels, np.array([0, 0, 1, 1], np.int32), np.array([False, True] * 2), ("a", "b"))
'''

NUMBERS = count()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's own module goes, relative to the working directory."""
    monkeypatch.chdir(tmp_path)
    return Path(f"mine{next(NUMBERS)}.py")  # a path is imported once


def own(file: Path, more: str = "", **options: Any) -> DataSet:
    file.write_text(SMALLEST + more)
    return DataSet(str(file), options)


@pytest.mark.parametrize("name", registry.names("dataset"))
def test_built_in_modules_keep_the_contract(name: str) -> None:
    module = registry.load("dataset", name)
    check_plugin(module, name)
    assert not hasattr(module, "downloads") or (module.LICENCE and module.CITATION)


def test_what_is_assumed_where_a_module_says_nothing(file: Path, tmp_path: Path) -> None:
    data_set = own(file, shift=3)
    assert data_set.domains() == ("here", "there")
    assert data_set.classes() is None
    assert data_set.without_images() == frozenset()
    assert data_set.sampled_classes("here") is None
    assert data_set.decisive_options("here") is None
    assert data_set.downloads("here") == data_set.all_downloads() == data_set.official_downloads() == ()
    assert data_set.official_tasks() == ()
    assert data_set.sizes("here") is None
    assert data_set.stored_side() == 0
    assert not data_set.decodes_files()
    data_set.check("datasets.mine.options")
    found = data_set.prepare("here", Files(tmp_path, tmp_path))
    assert isinstance(found, PackedImages)
    assert np.unique(found.pixels).tolist() == [3]


def test_what_a_module_says_is_given_with_its_type(file: Path, tmp_path: Path) -> None:
    data_set = own(
        file,
        "from finecal.download.spec import Download\n"
        "FILE = Download('a.zip', ('https://x.org/a.zip',))\n"
        "def classes(options): return ['a', 'b']\n"
        "def without_images(options): return ('there',)\n"
        "def sampled_classes(domain, options): return {'a', 'b'}, {'b'}\n"
        "def decisive_options(domain, options): return {'shift': options.shift, 'domain': domain}\n"
        "def downloads(domain, options): return (FILE,)\n"
        "def official_tasks(options): return ('there-here',)\n"
        "def official_split(source, options, folder): return [1, 0], 1\n"
        "def sizes(domain, options): return 2, 2, 2\n"
        "def stored_side(options): return 2\n",
    )
    assert data_set.classes() == ("a", "b")
    assert data_set.without_images() == frozenset({"there"})
    assert data_set.sampled_classes("here") == Sampled(frozenset("ab"), frozenset("b"))
    assert data_set.decisive_options("here") == {"shift": 0, "domain": "here"}
    assert data_set.downloads("here") == data_set.all_downloads() == (Download("a.zip", ("https://x.org/a.zip",)),)
    assert data_set.official_tasks() == ("there-here",)
    assert data_set.official_split("there", tmp_path) == ((1, 0), 1)
    assert data_set.sizes("here") == Sizes(train=2, test=2, classes=2)
    assert data_set.stored_side() == 2


def test_options_are_checked_by_the_module() -> None:
    assert DataSet("office_home", {"size": 64}).stored_side() == 64
    assert DataSet("office_home", {}).decodes_files()
    options = DataSet("digits", {"per_class": 3}).options
    assert DataSet("digits", options).options is options
    with pytest.raises(ValidationError, match="per_clas"):
        DataSet("digits", {"per_clas": 3})
    with pytest.raises(UserError, match="unknown dataset 'digitz'"):
        DataSet("digitz", {})


def test_an_error_of_check_is_put_below_the_key_path(file: Path) -> None:
    start = "from finecal.errors import UserError\ndef check(options): raise UserError('too small', where="
    for where, place in (("shift", "datasets.mine.options.shift"), ("", "datasets.mine.options")):
        path = file.with_name(f"{where}{file.name}")
        with pytest.raises(UserError, match="too small") as caught:
            own(path, f"{start}{where!r}, hint='More')").check("datasets.mine.options")
        assert (caught.value.where, caught.value.hint) == (place, "More")


def without(name: str) -> str:
    start = SMALLEST.index(f"def {name}(")
    return SMALLEST[:start] + SMALLEST[start:].partition("\n\n\n")[2]


OPTIONS = SMALLEST[SMALLEST.index("class Options") : SMALLEST.index("def domains")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            without("domains"),
            r"defines no domains\. A data set needs Options, domains, prepare; it may",
        ),
        ("x = 1\n", r"this file defines no Options, no domains, no prepare\. .* may also define classes, check, "),
        (
            SMALLEST.replace(OPTIONS, "Options = dict\n\n\n"),
            r"Options is not a typed model\. Derive it",
        ),
        (
            SMALLEST.replace("def domains(options)", "def domains()"),
            r"`domains` cannot be called with options\.",
        ),
        (SMALLEST.replace(", files)", ")"), r"with domain, options, files\. .*: def prepare\(domain, options, files\)"),
        (SMALLEST + "classes = ('a', 'b')\n", r"`classes` cannot be called with options"),
        (SMALLEST + "def download(domain, options): return ()\n", r"`download` is not .*; the closest is `downloads`"),
        (SMALLEST + "def official_split(source, options, folder): return (0,), 1\n", "but not `official_tasks`"),
    ],
)
def test_a_file_that_breaks_the_contract_is_refused(file: Path, content: str, message: str) -> None:
    file.write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        DataSet(str(file), {})
    assert caught.value.where == str(file)


def test_helpers_may_have_any_other_name(file: Path) -> None:
    more = "from finecal.datasets.pacs import downloads\ndef _download(): ...\ndef read(): ...\ndef download(): ...\n"
    assert own(file, more).domains() == ("here", "there")


@pytest.mark.parametrize(
    ("more", "call", "message"),
    [
        (
            "def domains(options): return 'here'",
            "domains",
            r"`domains` returned 'here'\. It must return a tuple",
        ),
        (
            "def domains(options): return ('a-b', 'c')",
            "domains",
            r"returned 'a-b'\. It must return a name without",
        ),
        ("def domains(options): return ('a', 'a')", "domains", r"It must return each text once"),
        ("def classes(options): return (1, 2)", "classes", r"`classes` returned \(1, 2\)\. It must return a tuple of"),
        ("def official_tasks(options): return ('here-there',)", "official_tasks", r"there is no `official_split`"),
        (
            "def sizes(domain, options): return 1, 2",
            "sizes",
            r"`sizes` returned \(1, 2\)\. It must return three",
        ),
        (
            "def sampled_classes(domain, options): return ('a',)",
            "sampled_classes",
            r"It must return the names",
        ),
        ("def downloads(domain, options): return ('a.zip',)", "downloads", r"finecal\.download\.spec\.Download"),
        (
            "def prepare(domain, options, files): return None",
            "prepare",
            r"`prepare` returned None\. .* a PackedImages or",
        ),
        (
            "def classes(options):\n    return 1 / 0",
            "classes",
            r"py:\d+: `classes` failed with ZeroDivisionError",
        ),
    ],
)
def test_what_a_function_of_the_users_returns_is_checked(file: Path, more: str, call: str, message: str) -> None:
    data_set = own(file, more)
    parameters = FUNCTIONS[call]
    arguments = {"domain": "here", "files": Files(Path(), Path())}
    with pytest.raises(UserError, match=message) as caught:
        getattr(data_set, call)(*(arguments[name] for name in parameters if name in arguments))
    assert caught.value.where.partition(":")[0] == str(file)


def test_the_line_of_a_failure_is_named(file: Path) -> None:
    with pytest.raises(UserError) as caught:
        own(file, "def sizes(domain, options):\n    return 1 / 0\n").sizes("here")
    assert caught.value.where == f"{file}:{len(SMALLEST.splitlines()) + 2}"


def test_a_failure_of_a_built_in_module_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finecal.datasets.digits.domains", lambda options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        DataSet("digits", {}).domains()


def test_every_function_is_a_method() -> None:
    assert all(getattr(DataSet, name).__doc__ for name in FUNCTIONS)
    assert {*REQUIRED} <= {*FUNCTIONS}
