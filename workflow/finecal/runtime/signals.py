"""The signals by which a cluster, or a person, announces the end of a job.

The launcher of SLURM jobs imports this module, so it must import nothing heavy.
"""

from __future__ import annotations

import signal

# SLURM sends SIGTERM at the time limit, on preemption and on scancel. The signal that announces it some minutes before
# is a site's or a user's choice; under Snakemake it is SIGURG, which all other processes of the job ignore.
WARNINGS = (signal.SIGTERM, signal.SIGURG, signal.SIGUSR1)
# What a terminal sends to all that run in it: at Ctrl-C, and when it is closed or its connection breaks. `nohup`, and a
# script for what it starts in the background, have them ignored.
OF_TERMINALS = (signal.SIGINT, signal.SIGHUP)
