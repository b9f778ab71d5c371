"""Jobs as forks of a process that has done the imports: most jobs compute for less time than torch and timm load.

`start.py` starts that process beside Snakemake, or in a SLURM job, and puts a program `finecal` first on the PATH. The
program, `client.py`, hands its command over to the process, `server.py`, which forks; what the fork does until it ends
is in `fork.py`. To whoever started the client, the client is the job: it passes on signals and ends as the job did.
Where anything stands in the way, the client becomes the ordinary `finecal`.
"""
