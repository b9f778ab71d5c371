"""The tables: which rows in which order, what people read, and the files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from result_tables import RUNS, made_cost, made_metrics, made_tables

from finecal import display, registry, tables
from finecal.errors import UserError
from finecal.io import parquet
from finecal.tables import ausuc, cost_by_stage, macro, main
from finecal.tables._text import condense, csv, escape, group_by_setting, latex, markdown


def test_main_table_rows_order_and_upper_bounds() -> None:
    tidy = main.build(made_metrics())
    methods = tidy.drop_duplicates(["classifier", "calibrator"])
    assert list(zip(methods["classifier"], methods["calibrator"], methods["upper_bound"], strict=True)) == [
        ("pretrained", "none", False),
        ("fine_tuned", "none", False),
        ("fine_tuned", "alg", False),
        ("fine_tuned", "pcv", False),
        ("fine_tuned", "oracle", True),  # comes first in the metrics, but reads test labels
        ("oracle_fine_tuning", "none", True),
    ]
    assert list(tidy["metric"][:3]) == ["acc_y_y", "acc_s_y", "acc_u_y"]
    assert tidy["mean"].max() <= 1  # numbers stay fractions


def test_main_table_as_people_see_it() -> None:
    shown = main.present(main.build(made_metrics())).set_index("method")
    assert list(shown.index) == [
        "pretrained", "fine-tuned", "fine-tuned + ALG", "fine-tuned + PCV", "fine-tuned + γ* †", "oracle fine-tuning †",
    ]  # fmt: skip
    assert shown.loc["fine-tuned + ALG", "Δ all classes"] == "+10.0 [10.0, 10.0]"
    assert shown.loc["fine-tuned + ALG", "all classes"].startswith("70.0 [6")
    assert shown.loc["pretrained", "Δ S"].startswith("−35.0 [−3")
    assert shown.loc["fine-tuned", "Δ U"] == "–"
    reads = ["–", "–", "train S", "train S, pseudo-splits", "test labels", "train S and U"]
    assert list(shown["reads"]) == reads
    assert list(shown["trainings"]) == ["1", "4", "4", "4", "4", "2"]
    assert set(shown["samples"]) == {"9000"}


def test_one_run_of_which_no_samples_are_known_is_shown_without_interval() -> None:
    shown = main.present(main.build(made_metrics(RUNS[:1]).drop(columns="influences"))).set_index("method")
    assert shown.loc["fine-tuned", "all classes"] == "59.0"
    assert shown.loc["fine-tuned + PCV", "Δ all classes"] == "+15.0"
    assert set(shown["trainings"]) == {"1"}


def test_ausuc_table_has_classifiers_only() -> None:
    shown = ausuc.present(ausuc.build(made_metrics()))
    assert list(shown["method"]) == ["pretrained", "fine-tuned", "oracle fine-tuning †"]
    assert list(shown["AUSUC"].str[:5]) == ["0.500", "0.750", "0.950"]
    assert list(shown["Δ AUSUC"].str[:6]) == ["−0.250", "–", "+0.200"]
    assert list(shown["AUSUC per class"].str[:5]) == ["0.450", "0.700", "0.900"]


def test_table_of_averages_per_class() -> None:
    metrics = made_metrics()
    f1 = metrics[metrics["metric"] == "macro_acc_y_y"].assign(metric="macro_f1")
    f1["value"] -= 0.25
    shown = macro.present(macro.build(pd.concat([metrics, f1]))).set_index("method")
    assert list(shown.index) == [
        "pretrained", "fine-tuned", "fine-tuned + ALG", "fine-tuned + PCV", "fine-tuned + γ* †", "oracle fine-tuning †",
    ]  # fmt: skip
    titles = ["all classes", "S", "U", "harmonic mean", "F1", "AUSUC"]
    numbers = [title for title in shown.columns if title.removeprefix("Δ ") in titles]
    assert numbers == [one for title in titles for one in (title, f"Δ {title}")]
    assert list(shown.columns[-2:]) == ["trainings", "samples"]
    assert shown.loc["fine-tuned + ALG", "all classes"].startswith("65.0 [")
    assert shown.loc["fine-tuned + ALG", "Δ all classes"].startswith("+10.0 [")
    assert shown.loc["fine-tuned + ALG", "F1"].startswith("40.0 [")
    assert shown.loc["pretrained", "AUSUC"].startswith("0.450 [")
    assert shown.loc["fine-tuned + PCV", "AUSUC"] == "–"  # not among the made-up metrics
    assert "per class" in tables.caption("macro")
    assert "per test sample" in tables.caption("main")


@pytest.mark.parametrize("name", registry.names("table"))
def test_files_of_a_table(name: str, tmp_path: Path) -> None:
    one, other = made_tables(), made_tables(task="a-b")
    both = {key: pd.concat([one[key], other[key]], ignore_index=True) for key in one}
    tables.write(name, both, tmp_path / name, provenance={"made": "here"})
    assert {path.suffix for path in tmp_path.iterdir()} == set(tables.SUFFIXES)
    assert parquet.read_metadata(tmp_path / f"{name}.parquet") == {"made": "here"}
    first = (tmp_path / f"{name}.md").read_text().partition("\n")[0]
    assert first.startswith(tables.caption(name))
    tidy = parquet.read_table(tmp_path / f"{name}.parquet").to_pandas()
    shown = registry.load("table", name).present(tidy)  # the file holds all that the others show
    assert (tmp_path / f"{name}.csv").read_text() == csv(shown)


@pytest.mark.parametrize("name", ["ausuc", "macro", "main"])
def test_files_of_a_table_of_methods(name: str, tmp_path: Path) -> None:
    metrics = pd.concat([made_metrics(), made_metrics(task="a-b")])
    tables.write(name, {"metrics": metrics}, tmp_path / name, provenance={})
    tidy = parquet.read_table(tmp_path / f"{name}.parquet")
    types = {field.name: str(field.type) for field in tidy.schema}
    assert (types["task"], types["mean"], types["n_runs"], types["upper_bound"]) == (
        "string",
        "double",
        "int64",
        "bool",
    )
    first = (tmp_path / f"{name}.md").read_text().partition("\n")[0]
    assert first == f"{tables.caption(name)} Data set digits, backbone resnet10t, recipe full."
    assert len(pd.read_csv(tmp_path / f"{name}.csv")) == len(
        tidy.group_by(["task", "classifier", "calibrator"]).aggregate([])
    )
    tex = (tmp_path / f"{name}.tex").read_text()
    assert tex.count(r"\midrule") == 2  # one for each setting
    assert r"\itshape printed $\rightarrow$ handwritten" in tex


def test_cost_by_stage() -> None:
    tidy = cost_by_stage.build(made_cost()).set_index("stage")
    assert list(tidy.index) == ["prepare", "pretrain", "finetune", "extract"]
    finetune = tidy.loc["finetune"]
    assert (finetune["n_jobs"], finetune["wall_seconds"], finetune["wall_seconds_total"]) == (4, 250, 1000)
    assert finetune["cpu_seconds_total"] == 500
    shown = cost_by_stage.present(tidy.reset_index()).set_index("stage")
    assert list(shown.loc["fine-tune"]) == [
        "GPU 1", "4", "4.2 min", "2.1 min", "17 min", "8.3 min", "2.0 GiB", "512 MiB",
    ]  # fmt: skip
    assert list(shown.loc["pretrain"]) == ["GPU 1", "1 (0 measured)", "–", "–", "–", "–", "2.0 GiB", "512 MiB"]
    assert shown.loc["prepare images", "GPU memory"] == "–"


def test_cost_by_stage_tells_recipes_and_devices_apart() -> None:
    recipes = pd.concat([made_cost(), made_cost(recipe="linear_probe")]).drop_duplicates()
    rows = list(cost_by_stage.present(cost_by_stage.build(recipes))["stage"])
    assert rows == [
        "prepare images", "pretrain", "fine-tune, full", "logits, fine-tuned, full",
        "fine-tune, linear probe", "logits, fine-tuned, linear probe",
    ]  # fmt: skip
    devices = pd.concat([made_cost(), made_cost(RUNS[:1]).query("stage == 'finetune'").assign(device="GPU 2")])
    tidy = cost_by_stage.build(devices)
    assert list(tidy["n_jobs"][tidy["stage"] == "finetune"]) == [4, 1]


def test_columns_that_say_the_same_everywhere_go_into_the_caption() -> None:
    shown = main.present(main.build(pd.concat([made_metrics(), made_metrics(recipe="linear_probe")])))
    table, sentence = condense(shown)
    assert sentence == "Data set digits, task printed → handwritten, backbone resnet10t."
    assert table.columns[0] == "recipe"
    assert list(group_by_setting(shown)[1]) == ["full", "linear probe"]


def test_hostile_texts_are_escaped() -> None:
    shown = pd.DataFrame({"method": ["a|b & 50 %_$x$ \\ {γ*}\n", "[x"], "value": ["1.0 [0.5, 1.5]", "–"]})
    assert (
        escape("γ* ± R&D_1 #50 % <~^>") == r"$\gamma^*$ $\pm$ R\&D\_1 \#50 \% $<$\textasciitilde{}\textasciicircum{}$>$"
    )
    tex = latex(shown, "100 %", label="tab:x")
    assert r"\caption{100 \%}" in tex
    assert r"a$|$b \& 50 \%\_\$x\$ \textbackslash{} \{$\gamma^*$\}" in tex
    assert r"& {\tiny [0.5, 1.5]} \\[2pt]" in tex  # the interval stands below its mean
    assert "\n{}[x & --" in tex  # a bracket after a row would be its argument
    assert "a\\|b & 50" in markdown(shown, "100 %")
    assert csv(shown).splitlines()[-1] == "[x,–"


def test_an_unknown_table_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown table 'mian'"):
        tables.write("mian", made_tables(), tmp_path / "x", provenance={})


def test_the_words_of_recipes() -> None:
    assert [display.recipe(name) for name in ("lp_ft", "l2_sp", "seen_only", "mine")] == [
        "LP-FT",
        "L2-SP",
        "seen only",
        "mine",
    ]
