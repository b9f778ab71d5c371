from __future__ import annotations

from pathlib import Path

import pytest

from finecal.io.user_cache import kept


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "finecal"


def refuse() -> bytes:
    raise AssertionError("it was there")


def test_made_once_for_each_text(cache: Path) -> None:
    assert kept("chart", "one", lambda: b"1\n2") == b"1\n2"
    assert kept("chart", "one", refuse) == b"1\n2"
    assert kept("chart", "other", lambda: b"3") == b"3"
    assert kept("chart", "one", refuse) == b"1\n2"
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("changed", [b"", b"1", b"0" * 64 + b"\n12"])
def test_what_is_not_whole_is_made_anew(cache: Path, changed: bytes) -> None:
    kept("chart", "one", lambda: b"12")
    [file] = cache.iterdir()
    file.write_bytes(changed)
    assert kept("chart", "one", lambda: b"12") == b"12"
    assert kept("chart", "one", refuse) == b"12"


def test_without_a_folder_it_is_made_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.joinpath("file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert [kept("chart", "one", lambda made=made: made) for made in (b"1", b"2")] == [b"1", b"2"]


def test_where_a_link_leads_nowhere_nobody_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where `~/.cache` is on a disk that compute nodes do not see."""
    tmp_path.joinpath("link").symlink_to(tmp_path / "nowhere")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "link"))
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("it waits"))
    assert kept("chart", "one", lambda: b"1") == b"1"


def test_a_relative_folder_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the specification of XDG_CACHE_HOME says; it is also what a user without a home has."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "~/.cache")
    assert kept("chart", "one", lambda: b"1") == b"1"
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_made_leaves_nothing(cache: Path) -> None:
    with pytest.raises(AssertionError, match="it was there"):
        kept("chart", "one", refuse)
    assert not cache.exists()


def test_by_default_it_is_below_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    kept("chart", "one", lambda: b"1")
    assert len(list(tmp_path.joinpath(".cache", "finecal").iterdir())) == 1
