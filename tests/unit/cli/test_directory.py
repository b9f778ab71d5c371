"""`--directory` of every verb: where finecal looks, and what it says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from finecal.cli.parser import main, make_parser


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # and back at the end, wherever the verb has gone
    return tmp_path


def test_studies_and_results_are_those_of_the_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "mine").mkdir()
    (here / "mine" / "config.yaml").write_text("studies: [own.yaml]")
    (here / "mine" / "own.yaml").write_text("extends: small/digits")
    main(["status", "--directory", "mine"])
    said = capsys.readouterr()
    assert said.out.startswith("own.yaml: 0 of ")
    assert said.err == ""


@pytest.mark.parametrize("before", [["--directory", "mine"], ["--directory=mine"]])
def test_it_may_stand_before_the_verb(before: list[str], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "mine").mkdir()
    main([*before, "status"])
    assert capsys.readouterr().err == f"finecal: no config.yaml in {here / 'mine'}, so this is digits, the default\n"


def test_without_a_configuration_it_says_where_it_has_looked(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["status"])
    assert capsys.readouterr().err == f"finecal: no config.yaml in {here}, so this is digits, the default\n"


@pytest.mark.parametrize(("name", "why"), [("nowhere", "No such file or directory"), ("file", "Not a directory")])
def test_what_is_no_folder(name: str, why: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "file").touch()
    with pytest.raises(SystemExit) as ended:
        main(["status", "--directory", name])
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"finecal: --directory: {name!r} is no folder to work in ({why}).\n"
    assert not (here / "nowhere").exists()


def test_every_verb_has_it() -> None:
    (verbs,) = (action for action in make_parser()._actions if hasattr(action, "choices") and action.choices)
    for name, verb in verbs.choices.items():
        assert "--directory" in verb.format_help(), name
