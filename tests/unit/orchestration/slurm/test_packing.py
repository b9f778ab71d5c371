"""Which jobs share a SLURM job or a GPU, and what is asked for in their place."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from slurm_jobs import Dag, job
from snakemake.common.tbdstring import TBDString
from snakemake.iocontainers import ResourceList

from finecal.config.settings import parse_settings
from finecal.errors import UserError
from finecal.orchestration.rules import Studies
from finecal.orchestration.slurm.packing import check_in_turn, divide, pack_size
from finecal.orchestration.slurm.requests import combine, requested_resources

REPOSITORY = Path(__file__).resolve().parents[4]


def light(**resources: Any) -> SimpleNamespace:
    return job("evaluate", gpu=0, in_turn=10, **resources)


def test_how_many_a_slurm_job_takes() -> None:
    assert [pack_size(job(), runs) for runs in (1, 4)] == [1, 4]
    assert pack_size(job(gpu_share="shard:1"), 4) == 1
    assert pack_size(job(gpu_share="shard:1"), 1) == 1
    assert pack_size(job(gpu=0), 4) == 1
    assert pack_size(job(gpu=0, nodes=2), 4) == pack_size(job(gpu=0, mpi="srun"), 1) == 0
    assert pack_size(light(), 1) == pack_size(light(gpu_share="shard:1"), 4) == 10
    assert pack_size(job("evaluate", gpu=0, in_turn=0), 4) == 1
    assert pack_size(SimpleNamespace(is_group=lambda: True), 4) == 0


def test_who_is_tried_again_shares_a_gpu_with_fewer() -> None:
    """GPU memory may have been what was lacking."""
    again = [job() for _ in range(4)]
    for attempt, size in ((2, 2), (3, 1), (4, 1), (5, 1)):
        for one in again:
            one.attempt = attempt
        assert [len(pack) for pack in divide([*again, *(job() for _ in range(4))], 4)] == [size] * (4 // size) + [4]
    lights = [light() for _ in range(4)]
    lights[0].attempt = 4
    assert [len(pack) for pack in divide(lights, 1)] == [4]


def test_jobs_in_turn_fit_into_what_the_partition_grants() -> None:
    lights = [light(runtime=20, slurm_partition="short") for _ in range(4)]
    assert [len(pack) for pack in divide(lights, 1, {"short": 60}.get)] == [2, 2]
    assert [len(pack) for pack in divide(lights, 1, {"short": 10}.get)] == [1] * 4
    assert [len(pack) for pack in divide(lights, 1, {"other": 10}.get)] == [4]


def test_extractions_take_turns_on_a_gpu() -> None:
    """Most copy what their training has left."""
    extractions = [job("extract", in_turn=10, runtime=20) for _ in range(3)]
    assert [len(pack) for pack in divide(extractions, 4)] == [3]
    together = combine(extractions)
    assert (together.threads, together.resources["gpu"], together.resources["runtime"]) == (2, 1, 60)
    part = [job("extract", in_turn=10, gpu_share="shard:1")]
    assert combine(part).resources["gres"] == "shard:1"
    assert combine(part, divided=False).resources["gpu"] == 1  # runs_per_gpu is 1


@pytest.mark.parametrize("value", [-1, "many", 2.5])
def test_in_turn_is_a_number_of_jobs(value: object) -> None:
    with pytest.raises(UserError, match=r"--set-resources evaluate:in_turn: in_turn is .*0 submits each by itself"):
        check_in_turn("evaluate", value)
    for fine in (None, 0, 10):
        check_in_turn("evaluate", fine)


def test_only_alike_jobs_share_and_evenly() -> None:
    assert [len(pack) for pack in divide([job() for _ in range(9)], 4)] == [3, 3, 3]
    mixed = [job(), job(backbone="b"), job("extract"), job(slurm_partition="other"), job()]
    assert sorted(map(len, divide(mixed, 4))) == [1, 1, 1, 2]
    assert [len(pack) for pack in divide([job(gpu_share="shard:1") for _ in range(3)], 4)] == [1, 1, 1]
    lights = [light() for _ in range(11)]
    lights[0].wildcards_dict["backbone"] = "b"
    assert [len(pack) for pack in divide(lights, 1)] == [6, 5]


def test_the_trainings_of_a_run_go_together() -> None:
    """What follows them needs both. They take turns where one runs at a time, as far as their times fit."""
    dag = Dag()
    tuned = [dag.add("finetune", gpu=1, in_turn=None, runtime=20, mem_mb=300) for _ in range(3)]
    split = [dag.add("pseudo_splits", gpu=1, in_turn=None, runtime=40) for _ in range(3)]
    for one, other, seed in zip(tuned, split, range(3), strict=True):
        one.wildcards_dict = other.wildcards_dict = {"backbone": "a", "seed": seed}
    assert divide([*tuned, *split[:2]], 4) == [[*tuned, *split[:2]]]
    packs = divide([split[2], *tuned], 1, lambda _: 60)
    assert packs == [[split[2], tuned[2]], [tuned[0]], [tuned[1]]]
    together = combine(packs[0])
    assert (together.threads, together.resources["runtime"], together.resources["mem_mb"]) == (2, 60, 300)
    assert len(divide([split[2], *tuned], 1, lambda _: 59)) == 4
    tuned[2].attempt = 2
    assert len(divide([split[2], *tuned], 1)) == 4


def test_a_plain_job_is_the_only_member_of_its_slurm_job() -> None:
    plain = [Dag().add("aggregate", in_turn=in_turn) for in_turn in (None, 0)]
    assert [pack_size(one, 1) for one in plain] == [1, 1]
    training = Dag().add("finetune", gpu=1, in_turn=None)
    assert [pack_size(training, runs) for runs in (1, 4)] == [1, 4]
    plain[0].resources["nodes"] = 2  # the plugin knows more of those
    assert pack_size(plain[0], 1) == 0


def test_light_jobs_without_a_gpu_share_whatever_their_rules_are() -> None:
    mixed = [light(), job("calibrate", gpu=0, in_turn=10), job("gamma_draws", gpu=0, in_turn=10, mem_mb=300)]
    assert divide(mixed, 1) == [mixed]
    assert combine(mixed).resources["mem_mb"] == 300
    assert len(divide([*mixed, job("extract", in_turn=10)], 1)) == 2


def test_what_members_ask_for_together() -> None:
    together = combine([job(runtime=10, gpu_model="a100"), job(runtime=30, mem_mb=300, gpu_model="a100")])
    assert together.threads == 4
    assert together.resources == {"gpu": 1, "mem_mb": 400, "runtime": 30, "gpu_model": "a100"}
    part = combine([job(gpu_share="shard:1", gpu_model="a100")])
    assert part.resources == {"mem_mb": 100, "gres": "shard:1"}
    assert part.resources.gres == "shard:1"
    in_turn = combine([light(runtime=10, gpu_share="shard:1"), light(runtime=5, mem_mb=300)])
    assert in_turn.threads == 2
    assert in_turn.resources == {"gpu": 0, "mem_mb": 300, "runtime": 15, "in_turn": 10}


VALUES = st.one_of(st.none(), st.integers(0, 10_000), st.sampled_from(["many", "4 GB"]), st.builds(TBDString))
RESOURCES = st.dictionaries(st.sampled_from(["mem_mb", "disk_mb", "runtime", "disk", "nodes"]), VALUES)


@given(st.lists(RESOURCES, min_size=1, max_size=5), st.booleans())
def test_members_whose_resources_are_not_all_known(members: list[dict[str, Any]], in_turn: bool) -> None:
    """Numbers are put together, whatever the others have; what no member knows is not asked for."""
    resources = {"gpu": 0, "in_turn": 10} if in_turn else {"gpu": 1}
    jobs = [job("any", **resources, mem_mb=None) for _ in members]
    for one, member in zip(jobs, members, strict=True):
        one.resources = {**resources, **member}
    together = combine(jobs).resources
    assert not any(isinstance(value, TBDString) or value is None for value in together.values())
    for name in ("mem_mb", "disk_mb", "runtime", "disk", "nodes"):
        values = [member.get(name) for member in members]
        numbers = [value for value in values if isinstance(value, int)]
        texts = [value for value in values if isinstance(value, str) and not isinstance(value, TBDString)]
        added = name == "runtime" if in_turn else name in ("mem_mb", "disk_mb")
        of_numbers = (sum if added else max)(numbers) if numbers else None
        assert together.get(name) == (of_numbers if numbers else next(iter(texts), None))


def test_what_one_member_alone_asks_for() -> None:
    """Whether the first has it does not matter."""
    assert combine([job(), job(nodes=1)]).resources["nodes"] == 1


def test_members_ask_for_the_place_of_jobs_with_a_gpu() -> None:
    """With Snakemake's own list of resources, which stays as it is."""
    one = job()
    one.resources = ResourceList(fromdict={"gpu": 1, "gpu_partition": "gpu", "gpu_type": "a100", "mem_mb": 100})
    together = combine([one]).resources
    assert (together["slurm_partition"], together["gpu_model"]) == ("gpu", "a100")
    assert one.resources.get("slurm_partition") is None


def test_what_is_not_known_yet_is_no_number_of_jobs() -> None:
    """`in_turn` may depend on inputs; until they exist, such a job counts as one that is alone."""
    check_in_turn("evaluate", TBDString())
    assert pack_size(job("evaluate", gpu=0, in_turn=TBDString()), 4) == 1


@pytest.mark.parametrize("value", [0, -1, 1.5, "many"])
def test_runs_per_gpu_is_a_number_of_runs(value: object) -> None:
    with pytest.raises(Exception, match=r"config.yaml: runs_per_gpu: .*"):
        parse_settings({"studies": ["digits"], "runs_per_gpu": value})


def test_percent_of_this_machines_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for profile in ("default", "slurm"):
        content = yaml.safe_load((REPOSITORY / f"profiles/{profile}/profile.yaml").read_text())
        assert content["resources"] == ["gpu_percent=100"]
    for runs in (1, 3, 7, 100):
        workflow = Studies({"studies": ["small/digits"], "device": "cuda", "runs_per_gpu": runs})
        share = workflow.gpu_percent(workflow.gpus(on_cluster=False))
        assert 100 // share >= runs
    assert workflow.gpu_percent(0) == 0


def test_how_many_jobs_share_this_machines_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FINECAL_SIDE_BY_SIDE", "")
    workflow = Studies({"studies": ["small/digits"], "device": "cpu"})
    trainings = [job(gpu_percent=0) for _ in range(3)]
    others = [SimpleNamespace(resources={}) for _ in range(9)]
    for jobs, cores, expected in (
        ([*trainings, *others], 8, "3"),
        (trainings, 2, "2"),
        ([*trainings, job(gpu_percent=50)], 8, "2"),
        (others, 8, "0"),
    ):
        workflow.divide_memory(jobs, cores)
        assert os.environ["FINECAL_SIDE_BY_SIDE"] == expected


def test_every_job_with_a_gpu_takes_its_part() -> None:
    for file in (REPOSITORY / "workflow/rules").glob("*.smk"):
        text = file.read_text()
        assert text.count("gpu=GPUS") == text.count("gpu_percent=GPU_PERCENT"), file


def test_where_jobs_with_a_gpu_go() -> None:
    places = {"slurm_partition": "cpu", "gpu_partition": "gpu", "gpu_type": "a100"}
    with_gpu, without = (requested_resources(one) for one in (job(**places), light(**places)))
    assert (with_gpu.slurm_partition, with_gpu.gpu_model) == ("gpu", "a100")
    assert without == {"gpu": 0, "mem_mb": 100, "in_turn": 10, **places}
    assert requested_resources(job(slurm_partition="only")).slurm_partition == "only"
    assert [len(pack) for pack in divide([job(**places), job(slurm_partition="gpu", gpu_model="a100")], 4)] == [2]


def test_a_name_that_snakemake_takes_for_a_function() -> None:
    """`--default-resources slurm_account=all`, of which Snakemake says neither rule nor resource."""

    class Evaluated(dict[str, Any]):
        def items(self) -> Any:
            raise ValueError("Resource must be evaluated")

    one = job()
    one.resources = Evaluated()
    with pytest.raises(UserError, match="a resource of finetune is a function of Python"):
        requested_resources(one)
