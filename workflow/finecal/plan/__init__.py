"""Selected studies as runs: the options of every stage, jobs, digests of code, estimates of cost."""
