"""The command line: what a user sees of an error, and what a verb may cost before it starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from finecal import __version__, registry
from finecal.cli import main
from finecal.cli.parser import make_parser
from finecal.errors import closest
from finecal.paths import AGGREGATED

RUN = "results/digits/printed-handwritten/test_resnet/full/half0/seed0"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a failing verb prints; it must exit with 2 and leave nothing behind."""
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    assert caught.value.code == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert not list(Path().iterdir())
    return error


def output_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    main(list(arguments))
    out, error = capsys.readouterr()
    assert error == ""
    return out


# ------------------------------------------------------------------ errors

# A verb with its arguments → the one paragraph.
ERRORS = {
    ("check", "nope.yaml"): "studies: there is no file 'nope.yaml'. A study is a built-in name or a YAML file.",
    ("finetune", "results/digits"): (
        "'results/digits' is not the folder of a run. "
        "A run's folder is results/{dataset}/{source}-{target}/{backbone}/{recipe}/{split}/seed{seed}. "
        "Hint: `finecal check` prints the runs of a study."
    ),
    ("finetune", RUN.replace("seed0", "seed7"), "--study", "digits"): (
        f"{RUN.replace('seed0', 'seed7')}: unknown seed 7. Known, closest first: 0. Selected studies: digits."
    ),
    ("calibrate", RUN): "results/digits/splits/half0.parquet: this file is missing.",
    ("evaluate", RUN): "results/digits/splits/half0.parquet: this file is missing.",
    ("prepare", "images/printed.parquet"): (
        "'images/printed.parquet' does not match results/{dataset}/images/{domain}.parquet."
    ),
    ("prepare", "results/digits/images/painted.parquet"): (
        "the data set 'digits': unknown domain 'painted'. Known, closest first: printed, handwritten."
    ),
    ("split", "results/digits/splits/half0.parquet"): "results/digits/images/printed.parquet: this file is missing.",
    ("aggregate", "metric"): (
        f"unknown aggregated table 'metric'. Known, closest first: {', '.join(closest('metric', AGGREGATED))}."
    ),
    ("diagnose", "none.npz", "--fine-tuning", "0", "--out", "out"): "none.npz: this file is missing.",
}


@pytest.mark.parametrize("arguments", ERRORS, ids=" ".join)
def test_an_error_is_one_paragraph(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert error_of(capsys, *arguments) == f"finecal: {ERRORS[arguments]}\n"


def test_an_installed_command_shows_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "finecal.cli", "check", "nope"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("finecal: studies: unknown study 'nope'. Known, closest first: ")
    assert done.stderr.count("\n") == 1


def test_debug_shows_the_traceback() -> None:
    command = [sys.executable, "-m", "finecal.cli", "check", "nope", "--debug"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):\n")
    assert "finecal.errors.UserError: studies: unknown study 'nope'." in done.stderr


@pytest.mark.parametrize("arguments", [[], ["tune"], ["list", "models"], ["check", "--bogus"]])
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert error_of(capsys, *arguments).startswith("usage: finecal ")


# ------------------------------------------------------------------ verbs for people


def test_the_parser_of_one_stage_says_what_that_of_all_says(capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for parser in (make_parser(), make_parser("calibrate"), make_parser("no-verb")):
        for words in (["calibrate", "--help"], ["calibrate", "--no-option"]):
            with pytest.raises(SystemExit):
                parser.parse_args(words)
        said.append(capsys.readouterr())
    assert said[0] == said[1] == said[2]
    assert "usage: finecal calibrate" in said[0].out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"finecal {__version__}\n"


@pytest.mark.parametrize("kind", ["dataset", "recipe", "calibrator"])
def test_lists_have_a_line_for_each(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = output_of(capsys, "list", f"{kind}s").splitlines()
    assert [line.split()[0] for line in lines] == list(registry.names(kind))
    assert all(line.split(maxsplit=1)[1] == registry.description(kind, line.split()[0]) for line in lines)
    assert len({line.index(registry.description(kind, line.split()[0])) for line in lines}) == 1  # one column


def test_list_of_studies(capsys: pytest.CaptureFixture[str]) -> None:
    lines = output_of(capsys, "list", "studies").splitlines()
    assert any(line.startswith("digits ") and "Needs no network." in line for line in lines)


def test_check_prints_runs_and_jobs(capsys: pytest.CaptureFixture[str]) -> None:
    out = output_of(capsys, "check", "digits")
    lines = [line.strip() for line in out.splitlines()]
    assert lines[0].startswith("digits: Printed digits are the source")
    assert RUN in lines
    assert f"{RUN.replace('half0', 'all')}  (upper bound: all classes)" in lines
    jobs = {line.rsplit(maxsplit=1)[0]: line.split()[-1] for line in lines if line[-1:].isdigit() and "/" not in line}
    expected = {
        "prepare": "2",
        "split": "5",
        "pretrain": "1",
        "finetune": "5",
        "pseudo splits": "4",
        "extract pretrained": "1",
        "extract": "5",
        "calibrate": "4",
        "evaluate": "4",
    }
    assert jobs.items() >= expected.items()
    assert int(jobs["total"]) == sum(int(n) for name, n in jobs.items() if name != "total")
    assert lines[-1] == "Nothing was run. The studies are valid."
    assert not list(Path().iterdir())


@pytest.mark.parametrize("browser", [True, False])
def test_report_is_opened(browser: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The page that is there, which is not made again."""
    asked: list[str] = []

    def opened(address: str) -> bool:
        asked.append(address)
        return browser

    monkeypatch.setattr("webbrowser.open", opened)
    page = Path("results/report.html").resolve()
    page.parent.mkdir()
    page.write_text("as it is")
    said = output_of(capsys, "report", "--open")
    assert asked == [page.as_uri()]
    assert said == ("" if browser else f"no browser was found; the page is {page}\n")
    assert page.read_text() == "as it is"


def test_check_reads_the_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    Path("config.yaml").write_text("studies: [digits]\n")
    assert output_of(capsys, "check") == output_of(capsys, "check", "digits")


# ------------------------------------------------------------------ what an import costs

HEAVY = ("torch", "timm", "torchvision", "pandas", "matplotlib", "seaborn", "pyarrow", "scipy", "sklearn", "numpy")
ASK = "import sys; {code}; print(*sorted({{m.partition('.')[0] for m in sys.modules}} & set({heavy!r})))"


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("import finecal.cli", set()),
        ("import finecal.paths, finecal.plan.code_digests, finecal.config.settings", set()),
        # What the Snakefile asks: every job pays for it. Calibrators need NumPy to be loaded.
        ("from finecal.orchestration.rules import Studies; Studies({'studies': ['digits']})", {"numpy"}),
        ("from finecal.cli import main; main(['check', 'digits'])", {"numpy"}),
    ],
)
def test_nothing_heavy_is_imported(code: str, allowed: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(code=code, heavy=HEAVY)], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.splitlines()[-1].split()) <= allowed


@pytest.mark.parametrize(
    "stage",
    [
        "aggregate",
        "calibrate",
        "cost_table",
        "feature_map",
        "evaluate",
        "gamma_draws",
        "report",
        "run_table",
        "tables_and_figures",
        "update_similarity",
        "split",
    ],
)
def test_stages_that_run_no_model_start_without_torch(stage: str) -> None:
    code = ASK.format(code=f"import finecal.stages.{stage}", heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "timm", "torchvision"} & set(done.stdout.split())
