"""What runs right after a training in its SLURM job, and what does not."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from slurm_jobs import Dag, Job

from finecal.orchestration.slurm.following import find_followers, fits
from finecal.orchestration.slurm.requests import combine


def training(dag: Dag, *needs: Job, name: str = "finetune", run: str = "r", **resources: Any) -> Job:
    return dag.add(name, *needs, run=run, gpu=1, in_turn=None, mem_mb=8000, runtime=120, **resources)


def names(found: dict[Job, list[Job]]) -> list[str]:
    return [one.name for one in found]


def followers(*pack: Job, known: tuple[Job, ...] = ()) -> dict[Job, list[Job]]:
    request = combine(pack)
    return find_followers(list(pack), lambda job: job in known, lambda job: fits(job, request, pack))


def test_all_that_is_made_of_a_run_follows_its_training_in_order() -> None:
    dag = Dag()
    tuned, splits = training(dag), training(dag, name="pseudo_splits")
    extracted = dag.add("extract", tuned, gpu=1)
    present = dag.add("split")
    dag.done.add(present)
    fitted = dag.add("calibrate", extracted, splits, present)
    scored = dag.add("evaluate", fitted, extracted)
    similar = dag.add("update_similarity", tuned)
    table = dag.add("aggregate", scored, run="")
    expected = {extracted: [tuned], similar: [tuned], fitted: [extracted, splits], scored: [fitted, extracted]}
    assert followers(tuned, splits) == expected
    assert table not in followers(tuned, splits)  # many runs make one table
    assert names(followers(tuned)) == ["extract", "update_similarity"]  # its pseudo-splits are not on their way
    assert names(followers(tuned, known=(splits,))) == ["extract", "update_similarity", "calibrate", "evaluate"]


def test_scores_that_need_another_run_follow_whichever_comes_last() -> None:
    """The logits of the upper bound."""
    dag = Dag()
    half, full = training(dag), training(dag, run="all")
    of_half, of_all = dag.add("extract", half, gpu=1), dag.add("extract", full, run="all", gpu=1)
    fitted = dag.add("calibrate", of_half)
    scored = dag.add("evaluate", fitted, of_all)
    first = followers(half)
    assert names(first) == ["extract", "calibrate"]
    assert followers(full, known=(half, *first)) == {of_all: [full], scored: [fitted, of_all]}


def test_a_pretrained_model_is_followed_by_what_is_its_own() -> None:
    dag = Dag()
    model = training(dag, name="pretrain")
    model.wildcards_dict = {"source": "a"}
    logits = dag.add("extract_pretrained", model, gpu=1)
    logits.wildcards_dict = {"source": "a", "target": "b"}
    training(dag, model)
    assert names(followers(model)) == ["extract_pretrained"]


def test_tables_and_figures_follow_where_all_that_they_need_is() -> None:
    """But a GPU is not held for them."""
    dag = Dag()
    aggregates = [dag.add("aggregate", run="") for _ in range(2)]
    table = dag.add("table", *aggregates, run="")
    dag.add("report", table, run="")
    assert names(followers(*aggregates)) == ["table", "report"]
    assert followers(aggregates[0], known=(aggregates[1],)) == {}
    tuned = training(dag)
    dag.add("run_table", tuned, run="")
    assert followers(tuned) == {}


def test_nothing_follows_what_is_asked_for_last() -> None:
    dag = Dag()
    tuned = training(dag)
    dag.add("extract", tuned, gpu=1)
    dag.last.add(tuned)
    assert followers(tuned) == {}


def by_itself(one: Job) -> None:
    one.resources["in_turn"] = 0


def more_memory(one: Job) -> None:
    one.resources["mem_mb"] = 9000


def more_processors(one: Job) -> None:
    one.threads = 3


def another_account(one: Job) -> None:
    one.resources["slurm_account"] = "other"


def another_gpu(one: Job) -> None:
    one.resources |= {"gpu": 1, "gpu_model": "other"}


def more_gpus(one: Job) -> None:
    one.resources["gpu"] = 2


def tried_before(one: Job) -> None:
    one.attempt = 2


def of_the_user(one: Job) -> None:
    one.rule.shellcmd = "mine {output}"


def local(one: Job) -> None:
    one.is_local = True


def in_a_group(one: Job) -> None:
    one.group = "together"


def needs_a_snakemake(one: Job) -> None:
    one.is_shell = False


@pytest.mark.parametrize(
    "change",
    [
        by_itself, more_memory, more_processors, another_account, another_gpu, more_gpus, tried_before, of_the_user,
        local, in_a_group, needs_a_snakemake,
    ],
)  # fmt: skip
def test_what_does_not_fit_is_submitted_by_itself(change: Callable[[Job], None]) -> None:
    dag = Dag()
    tuned = training(dag)
    follower = dag.add("update_similarity", tuned, slurm_partition="cpu")  # another partition does not matter
    assert names(followers(tuned)) == ["update_similarity"]
    change(follower)
    assert followers(tuned) == {}


def test_groups_of_the_command_line_stay_together() -> None:
    dag = Dag()
    tuned = training(dag)
    dag.add("extract", tuned, gpu=1)
    dag.workflow.group_settings = SimpleNamespace(overwrite_groups={"extract": "g"})
    assert followers(tuned) == {}


def test_followers_ask_for_time_only() -> None:
    dag = Dag()
    tuned = [training(dag), training(dag)]
    found = [dag.add("extract", tuned[0], gpu=1, runtime=20), dag.add("evaluate", runtime=5)]
    alone, together = combine(tuned), combine(tuned, followers=found)
    assert together.resources == {**alone.resources, "runtime": 145}
    assert together.threads == alone.threads == 4
