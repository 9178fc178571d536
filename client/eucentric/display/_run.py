"""A run as a time line, in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from eucentric_core import ErrorReport

from ._card import card, escaped
from ._words import duration_words, time_words

__all__ = ["run_card"]

_WIDTH_PX, _ROW_PX, _LABEL_PX = 640, 20, 110
_MOST_STAGES = 60
_WORK, _WAIT, _FAILED = "#0369a1", "#f59e0b", "#b91c1c"


class _Stage(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def attempt(self) -> int: ...
    @property
    def started_utc(self) -> datetime: ...
    @property
    def ended_utc(self) -> datetime | None: ...
    @property
    def message(self) -> str: ...
    @property
    def error(self) -> ErrorReport | None: ...


class _Wait(Protocol):
    @property
    def stage(self) -> str: ...
    @property
    def attempt(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def began_utc(self) -> datetime: ...
    @property
    def ended_utc(self) -> datetime | None: ...


class _Run(Protocol):
    @property
    def trigger_id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def version(self) -> int | None: ...
    @property
    def attempt(self) -> int: ...
    @property
    def started_utc(self) -> datetime: ...
    @property
    def ended_utc(self) -> datetime | None: ...
    @property
    def heartbeat_age_s(self) -> float: ...
    @property
    def asked_by(self) -> str: ...
    @property
    def over(self) -> bool: ...
    @property
    def stages(self) -> Sequence[_Stage]: ...
    @property
    def waits(self) -> Sequence[_Wait]: ...
    @property
    def waiting(self) -> _Wait | None: ...


def run_card(run: _Run, now_utc: datetime | None = None) -> str:
    """A run as HTML: what it is about, and its stages as bars over time with what they waited for.

    Args:
        run: what to show.
        now_utc: the present time, for what is under way.
    """
    now = now_utc or datetime.now(UTC)
    waiting = run.waiting
    rows = [
        ("about", run.model),
        ("wanted by", run.asked_by),
        ("because", run.reason),
        ("began", time_words(run.started_utc)),
    ]
    if run.version is not None:
        rows.append(("led to", f"version {run.version}"))
    if run.attempt > 1:
        rows.append(("attempt", str(run.attempt)))
    if not run.over:
        rows.append(("last sign of life", f"{duration_words(run.heartbeat_age_s)} ago"))
    if waiting is not None:
        since_s = (now - waiting.began_utc).total_seconds()
        rows.append(("waits for", f"{waiting.reason}, since {duration_words(max(0.0, since_s))}"))
    failed = [stage.error for stage in run.stages if stage.error is not None]
    if failed and run.state == "failed":
        rows += [
            ("what happened", failed[-1].what),
            ("safe", failed[-1].safe),
            ("next", failed[-1].next_step),
        ]
    return card(
        f"{run.kind} {run.trigger_id}",
        rows,
        badges=[run.state],
        below=_time_line(run, now) if run.stages else "",
    )


def _time_line(run: _Run, now: datetime) -> str:
    stages = run.stages[-_MOST_STAGES:]
    begin = min(run.started_utc, *(stage.started_utc for stage in stages))
    open_end = now if not run.over else run.ended_utc or run.started_utc
    end = max([open_end, *(stage.ended_utc for stage in stages if stage.ended_utc is not None)])
    length_s = max((end - begin).total_seconds(), 0.1)

    def place(at: datetime) -> float:
        share = (at - begin).total_seconds() / length_s
        return _LABEL_PX + min(1.0, max(0.0, share)) * (_WIDTH_PX - _LABEL_PX)

    def bar(row: int, first: datetime, last: datetime, colour: str) -> str:
        left, right = place(first), place(last)
        return (
            f'<rect x="{left:.1f}" y="{row * _ROW_PX + 3}" width="{max(2.0, right - left):.1f}" '
            f'height="{_ROW_PX - 6}" fill="{colour}"/>'
        )

    drawn = []
    for row, stage in enumerate(stages):
        last = stage.ended_utc or open_end
        said = stage.error.what if stage.error is not None else stage.message
        parts = [bar(row, stage.started_utc, last, _FAILED if stage.error is not None else _WORK)]
        parts += [
            bar(row, wait.began_utc, wait.ended_utc or last, _WAIT)
            for wait in run.waits
            if (wait.stage, wait.attempt) == (stage.name, stage.attempt)
        ]
        took = duration_words(max(0.0, (last - stage.started_utc).total_seconds()))
        drawn.append(
            f"<g><title>{escaped(f'{stage.name}, {took}: {said}')}</title>"
            f'<text x="0" y="{row * _ROW_PX + 14}" font-size="12" fill="currentColor">'
            f"{escaped(stage.name[:16])}</text>{''.join(parts)}</g>"
        )
    label = f"{len(stages)} stages in {duration_words(length_s)}; blue at work, amber waiting, red failed"
    return (
        f'<svg role="img" aria-label="{escaped(label)}" width="{_WIDTH_PX}" '
        f'height="{len(stages) * _ROW_PX}">{"".join(drawn)}</svg><div><small>{escaped(label)}</small></div>'
    )
