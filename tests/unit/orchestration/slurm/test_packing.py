"""Members of a SLURM job: started by the launcher, put together by the executor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from slurm_jobs import Resources, job
from snakemake.common.tbdstring import TBDString
from snakemake.iocontainers import ResourceList

from finecal.config.settings import parse_settings
from finecal.errors import UserError
from finecal.orchestration.rules import Workflow
from finecal.orchestration.slurm import launcher
from finecal.orchestration.slurm.packing import check_in_turn, combined, packs, partition, room, route_to_partition

REPOSITORY = Path(__file__).resolve().parents[4]


def start(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "finecal.orchestration.slurm.launcher", str(folder), *options], start_new_session=True
    )


def scripts(folder: Path, *texts: str) -> list[Path]:
    made = [folder / f"{place}.sh" for place in range(len(texts))]
    for script, text in zip(made, texts, strict=True):
        script.write_text(text)
    return made


def until_asked(ready: Path, answer: str) -> str:
    """A member that works until SIGTERM, then answers: in short sleeps, for a signal may come before one begins."""
    return f"trap '{answer}' TERM; touch {ready}; for _ in $(seq 600); do sleep 0.1; done"


def test_a_member_that_fails_leaves_the_others_alone(tmp_path: Path) -> None:
    made = scripts(tmp_path, "sleep 1; echo done", "echo broken >&2; exit 3", "kill -KILL $$")
    assert start(tmp_path).wait(30) == 0
    assert [launcher.read_status(script) for script in made] == [0, 3, -signal.SIGKILL]
    assert [script.with_suffix(".log").read_text() for script in made] == ["done\n", "broken\n", ""]


@pytest.mark.parametrize("options", [[], [launcher.IN_TURN]])
def test_side_by_side_or_in_turn(tmp_path: Path, options: list[str]) -> None:
    """Each notes how many are at work when it begins."""
    note = f"cd {tmp_path}; touch working$$; sleep 0.5; ls | grep -c working; sleep 1; rm working$$; exit 3"
    made = scripts(tmp_path, note, note)
    assert start(tmp_path, *options).wait(30) == 0
    assert [launcher.read_status(script) for script in made] == [3, 3]
    at_work = [script.with_suffix(".log").read_text().strip() for script in made]
    assert at_work == (["1", "1"] if options else ["2", "2"])


def test_who_waits_for_its_turn_does_not_start_after_the_end(tmp_path: Path) -> None:
    made = scripts(tmp_path, until_asked(tmp_path / "ready", "exit 0"), f"touch {tmp_path}/second")
    process = start(tmp_path, launcher.IN_TURN)
    while not (tmp_path / "ready").exists():
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM
    assert [launcher.read_status(script) for script in made] == [0, None]
    assert not (tmp_path / "second").exists()


def test_members_with_a_status_do_not_run_again(tmp_path: Path) -> None:
    """As when SLURM starts the job again after the loss of its node."""
    made = scripts(tmp_path, "touch first", "touch second")
    launcher.status_file(made[0]).write_text("0")
    assert (
        subprocess.run(
            [sys.executable, "-m", "finecal.orchestration.slurm.launcher", "."], cwd=tmp_path, check=False
        ).returncode
        == 0
    )
    assert not (tmp_path / "first").exists()
    assert (tmp_path / "second").exists()


def test_a_full_disk_leaves_the_others_alone(tmp_path: Path) -> None:
    """Of one neither the log nor, of another, the status can be written: folders lie in their place."""
    made = scripts(tmp_path, *(f"touch {tmp_path}/{name}" for name in ("first", "second", "third")))
    made[0].with_suffix(".log").mkdir()
    (tmp_path / f".{launcher.status_file(made[1]).name}").mkdir()
    assert start(tmp_path).wait(30) == 128 + signal.SIGTERM
    assert [launcher.read_status(script) for script in made] == [None, None, 0]
    assert (tmp_path / "third").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
@pytest.mark.parametrize("place", [".log", ".status"])
def test_a_disk_that_is_full_for_messages_too(tmp_path: Path, place: str) -> None:
    """Neither what one left can be noted nor that it could not: the next runs all the same."""
    made = scripts(tmp_path, f"touch {tmp_path}/first", f"touch {tmp_path}/second")
    taken = made[0].with_suffix(".log") if place == ".log" else tmp_path / ".0.status"
    taken.mkdir()
    command = [sys.executable, "-m", "finecal.orchestration.slurm.launcher", str(tmp_path), launcher.IN_TURN]
    with Path("/dev/full").open("w") as full:
        assert subprocess.run(command, stderr=full, timeout=30, check=False).returncode == 128 + signal.SIGTERM
    assert (tmp_path / "second").exists()
    assert [launcher.read_status(script) for script in made] == [None, 0]


def test_a_folder_that_the_node_does_not_see(tmp_path: Path) -> None:
    """Not a success: SLURM is to say that the job has failed."""
    assert start(tmp_path / "elsewhere").wait(30) == 1


def test_who_is_ended_leaves_no_status(tmp_path: Path) -> None:
    """The launcher waits for what the members make of a SIGTERM; one may have just finished."""
    answers = ("exit 0", "sleep 1; exit 143")
    made = scripts(tmp_path, *(until_asked(tmp_path / f"ready{place}", text) for place, text in enumerate(answers)))
    process = start(tmp_path)
    while not all((tmp_path / f"ready{place}").exists() for place in (0, 1)):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM
    assert [launcher.read_status(script) for script in made] == [0, None]


def light(**resources: Any) -> SimpleNamespace:
    return job("evaluate", gpu=0, in_turn=10, **resources)


def test_how_many_a_slurm_job_takes() -> None:
    assert [room(job(), runs) for runs in (1, 4)] == [0, 4]
    assert room(job(gpu_share="shard:1"), 4) == 1
    assert room(job(gpu_share="shard:1"), 1) == 0
    assert room(job(gpu=0), 4) == 0
    assert room(light(), 1) == room(light(gpu_share="shard:1"), 4) == 10
    assert room(job("evaluate", gpu=0, in_turn=0), 4) == 0
    assert room(SimpleNamespace(is_group=lambda: True), 4) == 0


def test_who_is_tried_again_shares_a_gpu_with_fewer() -> None:
    """GPU memory may have been what was lacking."""
    again = [job() for _ in range(4)]
    for attempt, size in ((2, 2), (3, 1), (4, 1), (5, 1)):
        for one in again:
            one.attempt = attempt
        assert [len(pack) for pack in packs([*again, *(job() for _ in range(4))], 4)] == [size] * (4 // size) + [4]
    lights = [light() for _ in range(4)]
    lights[0].attempt = 4
    assert [len(pack) for pack in packs(lights, 1)] == [4]


def test_jobs_in_turn_fit_into_what_the_partition_grants() -> None:
    lights = [light(runtime=20, slurm_partition="short") for _ in range(4)]
    assert [len(pack) for pack in packs(lights, 1, {"short": 60}.get)] == [2, 2]
    assert [len(pack) for pack in packs(lights, 1, {"short": 10}.get)] == [1] * 4
    assert [len(pack) for pack in packs(lights, 1, {"other": 10}.get)] == [4]


def test_extractions_take_turns_on_a_gpu() -> None:
    """Most copy what their training has left."""
    extractions = [job("extract", in_turn=10, runtime=20) for _ in range(3)]
    assert [len(pack) for pack in packs(extractions, 4)] == [3]
    together = combined(extractions)
    assert (together.threads, together.resources["gpu"], together.resources["runtime"]) == (2, 1, 60)
    part = [job("extract", in_turn=10, gpu_share="shard:1")]
    assert combined(part).resources["gres"] == "shard:1"
    assert combined(part, divided=False).resources["gpu"] == 1  # runs_per_gpu is 1


@pytest.mark.parametrize("value", [-1, "many", 2.5])
def test_in_turn_is_a_number_of_jobs(value: object) -> None:
    with pytest.raises(UserError, match=r"--set-resources evaluate:in_turn: in_turn is .*0 submits each by itself"):
        check_in_turn("evaluate", value)
    for fine in (None, 0, 10):
        check_in_turn("evaluate", fine)


def test_only_alike_jobs_share_and_evenly() -> None:
    assert [len(pack) for pack in packs([job() for _ in range(9)], 4)] == [3, 3, 3]
    mixed = [job(), job(backbone="b"), job("extract"), job(slurm_partition="other"), job()]
    assert sorted(map(len, packs(mixed, 4))) == [1, 1, 1, 2]
    assert [len(pack) for pack in packs([job(gpu_share="shard:1") for _ in range(3)], 4)] == [1, 1, 1]
    lights = [light() for _ in range(11)]
    lights[0].wildcards_dict["backbone"] = "b"
    assert [len(pack) for pack in packs(lights, 1)] == [6, 5]


def test_what_members_ask_for_together() -> None:
    together = combined([job(runtime=10, gpu_model="a100"), job(runtime=30, mem_mb=300, gpu_model="a100")])
    assert together.threads == 4
    assert together.resources == {"gpu": 1, "mem_mb": 400, "runtime": 30, "gpu_model": "a100"}
    part = combined([job(gpu_share="shard:1", gpu_model="a100")])
    assert part.resources == {"mem_mb": 100, "gres": "shard:1"}
    assert part.resources.gres == "shard:1"
    in_turn = combined([light(runtime=10, gpu_share="shard:1"), light(runtime=5, mem_mb=300)])
    assert in_turn.threads == 2
    assert in_turn.resources == {"gpu": 0, "mem_mb": 300, "runtime": 15, "in_turn": 10}


VALUES = st.one_of(st.none(), st.integers(0, 10_000), st.sampled_from(["many", "4 GB"]), st.builds(TBDString))
RESOURCES = st.dictionaries(st.sampled_from(["mem_mb", "disk_mb", "runtime", "disk", "nodes"]), VALUES)


@given(st.lists(RESOURCES, min_size=1, max_size=5), st.booleans())
def test_members_whose_resources_are_not_all_known(members: list[dict[str, Any]], in_turn: bool) -> None:
    """Numbers are put together, whatever the others have; what no member knows is not asked for."""
    resources = {"gpu": 0, "in_turn": 10} if in_turn else {"gpu": 1}
    jobs = [SimpleNamespace(name="any", threads=1, resources={**resources, **member}) for member in members]
    together = combined(jobs).resources
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
    assert combined([job(), job(nodes=1)]).resources["nodes"] == 1


def test_where_members_were_sent_is_asked_for() -> None:
    """With Snakemake's own list of resources, whose `items` leave out what is set later."""
    sent = job()
    sent.resources = ResourceList(fromdict={"gpu": 1, "gpu_partition": "gpu", "gpu_type": "a100", "mem_mb": 100})
    route_to_partition(sent)
    together = combined([sent]).resources
    assert (together["slurm_partition"], together["gpu_model"]) == ("gpu", "a100")


def test_what_is_not_known_yet_is_no_number_of_jobs() -> None:
    """`in_turn` may depend on inputs; until they exist, such a job counts as one that does not share."""
    check_in_turn("evaluate", TBDString())
    assert room(job("evaluate", gpu=0, in_turn=TBDString()), 4) == 0


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
        workflow = Workflow({"studies": ["small/digits"], "device": "cuda", "runs_per_gpu": runs})
        share = workflow.gpu_percent(workflow.gpus(on_cluster=False))
        assert 100 // share >= runs
    assert workflow.gpu_percent(0) == 0


def test_how_many_jobs_share_this_machines_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FINECAL_SIDE_BY_SIDE", "")
    workflow = Workflow({"studies": ["small/digits"], "device": "cpu"})
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
    with_gpu, without = job(), light()
    for one in (with_gpu, without):
        one.resources = Resources(one.resources | places)
        route_to_partition(one)
    assert [partition(one) for one in (with_gpu, without)] == ["gpu", "cpu"]
    assert with_gpu.resources.slurm_partition == "gpu"
    assert with_gpu.resources.gpu_model == "a100"
    assert without.resources == {"gpu": 0, "mem_mb": 100, "in_turn": 10, **places}
    assert partition(job(slurm_partition="only")) == "only"
