"""A run as a picture in text: when each stage began and ended, and what it waited for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from ._views import SILENT_AFTER_S, RunView, StageView, WaitView

__all__ = ["duration_words", "state_words", "time_line"]

_WORK, _WAIT, _FAILED, _NONE, _OPEN = "█", "░", "✗", "·", "▶"
_LABEL = 14
_REASON = 60


def duration_words(seconds: float) -> str:
    """A duration as people say it."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def state_words(run: RunView) -> str:
    """How a run stands, with the age of its last sign of life where that says something."""
    age = duration_words(run.heartbeat_age_s)
    if run.state == "lost":
        return f"lost: silent for {age}"
    if run.over:
        return run.state if run.version is None else f"{run.state} (version {run.version})"
    if run.cancel_utc is not None:
        return "running, being cancelled"
    return f"running, silent for {age}" if run.heartbeat_age_s > SILENT_AFTER_S else "running"


def time_line(run: RunView, now_utc: datetime, *, cells: int = 48) -> list[str]:
    """The run as lines of text, none wider than `cells` and 60 characters more.

    Args:
        run: what to show.
        now_utc: the present time; the end of what is under way.
        cells: width of the picture in characters.
    """
    begin = min([run.requested_utc, run.started_utc, *(stage.started_utc for stage in run.stages)])
    end = max(
        [run.ended_utc or (now_utc if not run.over else run.started_utc)]
        + [stage.ended_utc for stage in run.stages if stage.ended_utc is not None]
        + ([run.first_answer_utc] if run.first_answer_utc is not None else [])
    )
    scale = _Scale(begin, max(end - begin, timedelta(seconds=0.1)), cells)
    lines = [f"{'':{_LABEL}} {begin:%H:%M:%S}{f'{end:%H:%M:%S} UTC':>{cells - 8 + 4}}"]
    to_start = run.started_utc - begin
    if to_start > timedelta(0):
        bar = scale.bar(begin, run.started_utc, _WAIT)
        lines.append(_row("trigger", bar, to_start, "until the flow began"))
    attempt = 1
    for stage in run.stages:
        if stage.attempt != attempt:
            attempt = stage.attempt
            lines.append(f"attempt {attempt}")
        waits = [wait for wait in run.waits if (wait.stage, wait.attempt) == (stage.name, stage.attempt)]
        lines += _stage_lines(run, stage, waits, scale, now_utc)
    if run.first_answer_utc is not None:
        bar = scale.bar(run.first_answer_utc, run.first_answer_utc, _OPEN)
        lines.append(
            _row("first answer", bar, run.first_answer_utc - begin, "after the trigger, from the edge")
        )
    lines.append(f"{'':{_LABEL}} {_WORK} at work  {_WAIT} waiting  {_FAILED} failed  {_OPEN} under way")
    return lines


def _stage_lines(
    run: RunView, stage: StageView, waits: Sequence[WaitView], scale: _Scale, now_utc: datetime
) -> Iterator[str]:
    live = run.doing == stage
    end = stage.ended_utc or (now_utc if live else stage.started_utc)
    bar = scale.bar(stage.started_utc, end, _WORK)
    for wait in waits:
        bar = scale.bar(wait.began_utc, wait.ended_utc or end, _WAIT, over=bar)
    if stage.error is not None:
        bar = scale.bar(end, end, _FAILED, over=bar)
    elif live:
        bar = scale.bar(end, end, _OPEN, over=bar)
    words = stage.error.what if stage.error is not None else stage.message
    if waits and stage.error is None and stage.message.startswith(waits[-1].reason[:8]):
        words = ""
    yield _row(stage.name, bar, end - stage.started_utc, words)
    for reason, seconds in _longest(waits, end):
        yield f"{'':{_LABEL}} {_WAIT} {reason}, {duration_words(seconds)}"


def _longest(waits: Sequence[WaitView], end: datetime, most: int = 4) -> list[tuple[str, float]]:
    total: dict[str, float] = {}
    for wait in waits:
        total[wait.reason] = total.get(wait.reason, 0.0) + wait.duration_s(end)
    return sorted(total.items(), key=lambda one: -one[1])[:most]


def _row(name: str, bar: str, took: timedelta, words: str) -> str:
    said = words if len(words) <= _REASON else f"{words[: _REASON - 1]}…"
    return f"{name[:_LABEL]:{_LABEL}} {bar} {duration_words(took.total_seconds()):>7}  {said}".rstrip()


class _Scale:
    """Moments as places in a row of characters."""

    def __init__(self, begin: datetime, length: timedelta, cells: int) -> None:
        self._begin = begin
        self._length = length
        self._cells = cells

    def bar(self, begin: datetime, end: datetime, mark: str, *, over: str | None = None) -> str:
        """A bar of at least one character, drawn over another one."""
        row = list(over or _NONE * self._cells)
        first = min(self._cells - 1, max(0, int((begin - self._begin) / self._length * self._cells)))
        last = min(self._cells - 1, max(first, int((end - self._begin) / self._length * self._cells)))
        if over is not None and begin == end:
            first = last
        row[first : last + 1] = [mark] * (last + 1 - first)
        return "".join(row)
