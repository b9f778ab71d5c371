"""The signals by which a cluster, or a person, announces the end of a job.

Imported by the launcher of SLURM jobs, so nothing heavy here.
"""

from __future__ import annotations

import signal

# SIGTERM comes at the time limit, on preemption and on scancel. Which signal announces it some minutes before is a
# site's or a user's choice; under Snakemake it is SIGURG, which all other processes of the job ignore.
WARNINGS = (signal.SIGTERM, signal.SIGURG, signal.SIGUSR1)
