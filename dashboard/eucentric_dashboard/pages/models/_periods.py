"""What was in production where and when, as bars over time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape

from eucentric_model_registry import ServicePeriod

__all__ = ["periods_svg"]

_WIDTH, _LABEL, _ROW = 720, 90, 30
_COLOURS = ("#2f7fb8", "#8a6d1c", "#2a8a5f", "#7a5aa6", "#a5532a", "#3c6e71")


def periods_svg(periods: Sequence[ServicePeriod], now_utc: datetime) -> str:
    """One row an edge, one bar a version, the version written in it.

    Args:
        periods: by edge, oldest first, as `service_periods` gives them.
        now_utc: where the picture ends.
    """
    edges = sorted({period.edge for period in periods})
    begin = min((period.since_utc for period in periods), default=now_utc)
    length_s = max(1.0, (now_utc - begin).total_seconds())
    drawn = []
    for row, edge in enumerate(edges):
        y = 4 + row * _ROW
        drawn.append(f'<text x="0" y="{y + 16}" class="axis">{escape(edge)}</text>')
        for period in periods:
            if period.edge == edge:
                drawn.append(_bar(period, y, begin, length_s, now_utc))
    bottom = 4 + len(edges) * _ROW
    drawn.append(f'<text x="{_LABEL}" y="{bottom + 12}" class="axis">{begin:%Y-%m-%d %H:%M}</text>')
    drawn.append(f'<text x="{_WIDTH}" y="{bottom + 12}" class="axis" text-anchor="end">now</text>')
    told = "; ".join(_said(period) for period in periods[-12:])
    return (
        f'<svg class="periods" role="img" aria-label="{escape(told, quote=True)}" '
        f'viewBox="0 0 {_WIDTH} {bottom + 18}" xmlns="http://www.w3.org/2000/svg">{"".join(drawn)}</svg>'
    )


def _bar(period: ServicePeriod, y: int, begin: datetime, length_s: float, now_utc: datetime) -> str:
    scale = (_WIDTH - _LABEL) / length_s
    x = _LABEL + (period.since_utc - begin).total_seconds() * scale
    end = _LABEL + ((period.until_utc or now_utc) - begin).total_seconds() * scale
    width = max(2.0, end - x - 1)
    colour = _COLOURS[period.version % len(_COLOURS)]
    name = f'<text x="{x + 5:.1f}" y="{y + 16}" class="bar">v{period.version}</text>' if width > 24 else ""
    place = f'x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_ROW - 8}"'
    return f'<g><title>{escape(_said(period))}</title><rect {place} rx="3" fill="{colour}"/>{name}</g>'


def _said(period: ServicePeriod) -> str:
    until = "now" if period.until_utc is None else f"{period.until_utc:%Y-%m-%d %H:%M:%S}"
    return f"v{period.version} at {period.edge} from {period.since_utc:%Y-%m-%d %H:%M:%S} to {until} UTC"
