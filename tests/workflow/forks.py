"""A process that has imported Snakemake and the large libraries once and forks for each command.

The imports take several seconds, a dry run or a refused input less than one. It reads one JSON object per line,
{command, folder, path, output}, runs the command (`snakemake …` or `finecal …`) in `folder` with `path` first on the
module path and its output in the file `output`, and answers with the exit status.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from typing import Any

import pandas  # noqa: F401
import pyarrow.parquet  # noqa: F401
import seaborn  # noqa: F401
import snakemake.cli
import snakemake_executor_plugin_slurm  # noqa: F401 - Snakemake imports all executor plugins


def _in_child(request: dict[str, Any]) -> None:
    target = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.chdir(request["folder"])
    sys.path.insert(0, request["path"])
    sys.argv = request["command"]
    if sys.argv[0] == "snakemake":
        snakemake.cli.main()
    else:
        importlib.import_module("finecal.cli").main()


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 0
            try:
                _in_child(json.loads(line))
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else int(end.code is not None)
            except BaseException:
                traceback.print_exc()
                status = 1
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(status, flush=True)


if __name__ == "__main__":
    main()
