"""What is kept of the code is what would be found anew, and a changed file is read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from finecal.plan import code_digests, code_meaning, known_meaning
from finecal.plan.known_meaning import PACKAGE, digest_of, known_definitions
from finecal.plan.stages import STAGES

MODULES = sorted(known_meaning._files())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "finecal"


def found() -> dict[str, list[str]]:
    """As in a new process."""
    return known_definitions.__wrapped__()


def test_it_is_what_each_module_means(cache: Path) -> None:
    anew = {digest_of(file.read_bytes()): code_meaning.definitions(file.read_text(), str(file)) for file in MODULES}
    assert found() == anew
    assert found() == anew
    assert len(list(cache.iterdir())) == 1


def test_it_is_not_found_twice(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = found()
    monkeypatch.setattr(code_meaning, "definitions", lambda *_: pytest.fail("it was there"))
    assert found() == before


def test_all_python_code_of_stages_and_plugins_is_in_it() -> None:
    named = {PACKAGE / name for stage in STAGES.values() for name in stage.code if name.endswith(".py")}
    plugins = {
        PACKAGE / folder / "__init__.py" for folder in ("calibrators", "datasets", "figures", "recipes", "tables")
    }
    assert named | plugins <= {*MODULES}


@pytest.mark.parametrize("source", [b"x = 1\n", b"def f(:\n", b"\xff"], ids=["changed", "no Python", "no UTF-8"])
def test_a_changed_module_is_read_anew(
    source: bytes, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    before = found()
    changed, others = tmp_path / "changed.py", MODULES[1:]
    changed.write_bytes(source)
    monkeypatch.setattr(known_meaning, "_files", lambda: {changed, *others})
    others_before = {digest_of(file.read_bytes()) for file in others}
    changed_after = {digest_of(source): code_meaning.definitions("x = 1", "")} if source == b"x = 1\n" else {}
    assert found() == {digest: before[digest] for digest in others_before} | changed_after


def test_another_way_of_reading_code_counts(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found()
    other = tmp_path / "code_meaning.py"
    other.write_text("# another\n")
    monkeypatch.setattr(code_meaning, "__file__", str(other))
    found()
    assert len(list(cache.iterdir())) == 2


def test_digests_do_not_depend_on_what_is_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = PACKAGE / "metrics" / "curve.py"
    kept = code_digests._definitions.__wrapped__(file)
    monkeypatch.setattr(code_digests, "known_definitions", dict)
    assert code_digests._definitions.__wrapped__(file) == kept
