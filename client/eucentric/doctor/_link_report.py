"""What a link's measurement looks like in a terminal."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ._link_advice import Advice, LinkFigures, RoundTrips

__all__ = ["link_report"]

_BAR_CELLS = 18
_EIGHTHS = " ▏▎▍▌▋▊▉"


def link_report(figures: LinkFigures, advice: Advice) -> Group:
    """Table of the cases, what follows, and the section of the settings to paste."""
    table = Table(title=f"round trips to {figures.far_end}", title_justify="left")
    for heading in ("case", "p50", "p99", "data"):
        table.add_column(heading, justify="left" if heading == "case" else "right", no_wrap=True)
    table.add_column("p99 as a bar", no_wrap=True)
    longest_s = max(case.p99_s for _, case, _ in _cases(figures))
    for name, case, rate_bit_s in _cases(figures):
        late = case.p99_s > 1.2 * figures.idle.p99_s + 0.0005
        table.add_row(
            name,
            f"{case.p50_s * 1e3:.1f} ms",
            f"{case.p99_s * 1e3:.1f} ms",
            "" if rate_bit_s is None else _rate(rate_bit_s),
            Text(_bar(case.p99_s / longest_s), style="red" if late else "green"),
        )
    rates = (
        f"Narrowest place: {_rate(figures.line_rate_bit_s)} towards {figures.far_end}; "
        f"data come back at {_rate(figures.rate_down_bit_s)}."
    )
    marks = "honoured" if advice.honours == "dscp" else "not honoured, or not needed"
    return Group(
        table,
        Text(rates),
        Text(f"Marks of control packets: {marks}."),
        *(Text(reason) for reason in advice.reasons),
        Text("\nFor the settings of this machine:\n"),
        Text(advice.toml(), style="cyan"),
    )


def _cases(figures: LinkFigures) -> tuple[tuple[str, RoundTrips, float | None], ...]:
    return (
        ("idle", figures.idle, None),
        ("unpaced", figures.unpaced, figures.rate_up_bit_s),
        ("unpaced, marked", figures.marked, None),
        (f"held at {figures.fraction:.0%}", figures.paced, figures.rate_paced_bit_s),
    )


def _bar(share: float) -> str:
    eighths = max(1, round(share * _BAR_CELLS * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _rate(bit_s: float) -> str:
    for unit, size in (("Gbit/s", 1e9), ("Mbit/s", 1e6)):
        if bit_s >= size:
            return f"{bit_s / size:.3g} {unit}"
    return f"{bit_s / 1e3:.3g} kbit/s"
