"""Snakemake's Python interface: whoever runs finecal from a notebook goes on afterwards in the same Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from finecal.paths import PROJECT

pytestmark = pytest.mark.slow

SEVERAL = f"""
import gc, os
from pathlib import Path
import psutil
import snakemake.api
import snakemake.workflow
from snakemake.settings.types import DAGSettings, OutputSettings, ResourceSettings

def run(name):
    target = f"results/digits/splits/{{name}}.parquet"
    with snakemake.api.SnakemakeApi(OutputSettings()) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1), snakefile=Path({str(PROJECT / "Snakefile")!r}),
            workdir=Path.cwd(),
        )
        workflow.dag(DAGSettings(targets={{target}})).execute_workflow()
    return Path(target).is_file()

names = dict(vars(snakemake.workflow))
# Snakemake sets them for each Snakefile.
of_module = ("config", "workflow", "onstart", "__name__", "__doc__", "__file__")
for split in ("all", "half0", "half0"):
    print(run(split), gc.isenabled(), psutil.Process().children(), "finecal-warm-" in os.environ["PATH"])
print([name for name in names if name not in of_module and vars(snakemake.workflow).get(name) is not names[name]])
try:
    run("unknown")
except SystemExit as error:
    print(error.code, gc.isenabled())
print(run("all"))
"""


def test_runs_one_after_the_other_in_one_python(tmp_path: Path) -> None:
    """Two with jobs, one with nothing to do, one with a mistake: none leaves a process, or names of Snakemake's."""
    (tmp_path / "config.yaml").write_text("studies: [small/digits]\ndevice: cpu\n")
    done = subprocess.run([sys.executable, "-c", SEVERAL], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [*(["True True [] False"] * 3), "[]", "2 True", "True"], done.stderr
