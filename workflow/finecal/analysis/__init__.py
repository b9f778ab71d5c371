"""Runs compared: intervals, findings, advice, and two runs side by side."""
