"""`python -m finecal.cli`."""

from finecal.cli.program import run

if __name__ == "__main__":
    run()
