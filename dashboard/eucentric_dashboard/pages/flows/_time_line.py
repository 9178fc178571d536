"""A run as bars over time: what each stage did when, and what it waited for. Pure; makes HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from html import escape

from eucentric_flows import RunView, StageView, WaitView
from eucentric_flows.runs import duration_words

__all__ = ["time_line_html"]


def time_line_html(run: RunView, now_utc: datetime) -> str:
    """Rows of name, bar, duration and words; a row for each reason for which a stage waited.

    Args:
        run: what to show.
        now_utc: the end of what is under way.
    """
    begin = min([run.requested_utc, run.started_utc, *(stage.started_utc for stage in run.stages)])
    end = max(
        [run.ended_utc or (run.started_utc if run.over else now_utc)]
        + [stage.ended_utc for stage in run.stages if stage.ended_utc is not None]
        + ([run.first_answer_utc] if run.first_answer_utc is not None else [])
    )
    scale = _Scale(begin, max(end - begin, timedelta(seconds=0.1)))
    rows = [_row("", f"<span>{begin:%H:%M:%S}</span><span>{end:%H:%M:%S} UTC</span>", "", "", "scale")]
    if run.started_utc > begin:
        bar = scale.bar("wait", begin, run.started_utc)
        took = duration_words((run.started_utc - begin).total_seconds())
        rows.append(_row("trigger", bar, took, "until the flow began"))
    attempt = 1
    for stage in run.stages:
        if stage.attempt != attempt:
            attempt = stage.attempt
            rows.append(_row(f"attempt {attempt}", "", "", "", "attempt"))
        waits = [wait for wait in run.waits if (wait.stage, wait.attempt) == (stage.name, stage.attempt)]
        rows += _stage_rows(run, stage, waits, scale, now_utc)
    if run.first_answer_utc is not None:
        took = duration_words((run.first_answer_utc - begin).total_seconds())
        bar = scale.bar("answer", run.first_answer_utc, run.first_answer_utc)
        rows.append(_row("first answer", bar, took, "after the trigger, from the edge"))
    return f'<div class="timeline">{"".join(rows)}</div>'


def _stage_rows(
    run: RunView, stage: StageView, waits: Sequence[WaitView], scale: _Scale, now_utc: datetime
) -> Iterator[str]:
    live = run.doing == stage
    end = stage.ended_utc or (now_utc if live else stage.started_utc)
    kind = "failed" if stage.error is not None else "live" if live else "work"
    bar = scale.bar(kind, stage.started_utc, end)
    bar += "".join(scale.bar("wait", wait.began_utc, wait.ended_utc or end) for wait in waits)
    words = stage.error.what if stage.error is not None else stage.message
    took = duration_words((end - stage.started_utc).total_seconds())
    yield _row(stage.name, bar, took, words, kind)
    if stage.error is not None:
        yield _row("", "", "", f"Next: {stage.error.next_step}", "because")
    total: dict[str, float] = {}
    for wait in waits:
        total[wait.reason] = total.get(wait.reason, 0.0) + wait.duration_s(end)
    for reason, seconds in sorted(total.items(), key=lambda one: -one[1])[:4]:
        yield _row("", "", duration_words(seconds), f"waited: {reason}", "because")


def _row(name: str, bar: str, took: str, words: str, kind: str = "") -> str:
    return (
        f'<div class="stage-row {kind}"><span class="stage-name">{escape(name)}</span>'
        f'<span class="track">{bar}</span><span class="took">{escape(took)}</span>'
        f'<span class="words">{escape(words)}</span></div>'
    )


class _Scale:
    """Moments as places in a bar (%)."""

    def __init__(self, begin: datetime, length: timedelta) -> None:
        self._begin = begin
        self._length = length

    def bar(self, kind: str, begin: datetime, end: datetime) -> str:
        """A piece of a bar, never too thin to be seen."""
        left = min(99.4, max(0.0, (begin - self._begin) / self._length * 100))
        width = max(0.6, min(100.0 - left, (end - begin) / self._length * 100))
        return f'<i class="{kind}" style="left:{left:.2f}%;width:{width:.2f}%"></i>'
