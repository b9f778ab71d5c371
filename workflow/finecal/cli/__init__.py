"""The command line."""

from finecal.cli.parser import main

__all__ = ["main"]
