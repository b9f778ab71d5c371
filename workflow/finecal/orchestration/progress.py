"""On a terminal one line for each job that has ended; the log in .snakemake/log, a file or a pipe gets everything.

Snakemake tells of each job in a dozen lines. Only the lines of jobs that go well are left out: errors, with the logs of
failed jobs, and all other messages are on the terminal as before.
"""

from __future__ import annotations

import logging
import re
import shutil
import time
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

# What is said of every job, or every time that some are due.
OF_JOBS = frozenset({
    LogEvent.JOB_INFO, LogEvent.JOB_STARTED, LogEvent.JOB_FINISHED, LogEvent.SHELLCMD, LogEvent.GROUP_INFO,
    LogEvent.RESOURCES_INFO,
})  # fmt: skip
OF_CHOICES = re.compile(r"Select jobs to execute\.\.\.|Execute \d+ jobs\.\.\.")


def show_progress(workflow: Any) -> bool:
    """Show one line per job from now on, if the messages go to a terminal; return whether they do.

    `--verbose` and `--quiet` mean what they always do.

    Parameters
    ----------
    workflow
        Snakemake's, when it is about to run jobs.
    """
    if workflow.output_settings.verbose or workflow.output_settings.quiet:
        return False
    shown = False
    for handler in logging.getLogger("snakemake.logging").handlers:
        if not isinstance(handler, logging.StreamHandler) or isinstance(handler, logging.FileHandler):
            continue
        isatty = getattr(handler.stream, "isatty", None)
        if isatty is not None and isatty():
            shown = True
            if not isinstance(handler.formatter, Lines):  # of another module with finecal's rules
                lines = Lines(handler.formatter)
                handler.addFilter(lines.is_shown)
                handler.setFormatter(lines)
    return shown


class Lines(logging.Formatter):
    """Filter and format of a handler's messages.

    Parameters
    ----------
    usual
        What formats all other messages.
    """

    def __init__(self, usual: logging.Formatter | None) -> None:
        super().__init__()
        self._usual = usual or logging.Formatter()
        self._begun: dict[int, tuple[str, float]] = {}  # job → what it is, when it was told of
        self._ended: list[int] = []

    def is_shown(self, record: logging.LogRecord) -> bool:
        """Return whether a message is shown; note what the later line of a job says."""
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_INFO:
            output = [str(path) for path in getattr(record, "output", None) or ()]
            words = f"{getattr(record, 'rule_name', '')} {output[0] if output else ''}".rstrip()
            self._begun[int(getattr(record, "jobid", -1))] = words, time.monotonic()
        if event == LogEvent.JOB_FINISHED:
            self._ended.append(int(getattr(record, "job_id", -1)))
        return event not in OF_JOBS and not (event is None and OF_CHOICES.fullmatch(str(record.msg)))

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of the jobs that have ended, in place of Snakemake's number of them."""
        if getattr(record, "event", None) != LogEvent.PROGRESS:
            return self._usual.format(record)
        done, total = int(getattr(record, "done", 0)), int(getattr(record, "total", 0))
        ended, self._ended = self._ended, []
        first = done - len(ended) + 1
        return "\n".join(self._line(job, f"{first + k} of {total}") for k, job in enumerate(ended))

    def _line(self, job: int, count: str) -> str:
        """One line that the terminal does not break: of a long path its end."""
        words, begun = self._begun.pop(job, ("", time.monotonic()))
        rule, _, path = words.partition(" ")
        before, after = f"{count}  {rule}  ", f"  {_duration(time.monotonic() - begun)}"
        room = shutil.get_terminal_size().columns - len(before) - len(after) - 1
        if len(path) > room:
            path = f"…{path[-room + 1 :]}" if room > 1 else ""
        return f"{before}{path}{after}"


def _duration(seconds: float) -> str:
    """
    >>> _duration(7.4), _duration(200)
    ('7 s', '3 min 20 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
