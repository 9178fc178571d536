"""What follows from a link's measurement: settings, with their reason. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from eucentric_core import FrozenModel

__all__ = ["Advice", "LinkFigures", "RoundTrips", "advise"]

_SEEN_S = 0.0015
_SEEN_RATIO = 0.15
_OVERTAKES = 0.3
_STEADY_S = 0.002
_PLENTY = 0.25


class RoundTrips(FrozenModel):
    """Round trips of one case (s)."""

    count: int
    p50_s: float
    p90_s: float
    p99_s: float


class LinkFigures(FrozenModel):
    """What was measured of one link.

    Args:
        far_end: who was at the other end.
        line_rate_bit_s: towards it, headers of packets included.
        rate_up_bit_s: of data, towards it, with nothing held back.
        rate_down_bit_s: of data, from it.
        rate_paced_bit_s: of data, held at `fraction` of the line rate.
        fraction: of that case.
        idle: nothing else on the link from here.
        unpaced: while data filled it.
        marked: the same, with control and data marked.
        paced: while data were held back.
    """

    far_end: str
    line_rate_bit_s: float
    rate_up_bit_s: float
    rate_down_bit_s: float
    rate_paced_bit_s: float
    fraction: float
    idle: RoundTrips
    unpaced: RoundTrips
    marked: RoundTrips
    paced: RoundTrips


class Advice(FrozenModel):
    """Settings of the section `link`, and why.

    Args:
        honours: what the switches do with marks.
        settings: as they go into the file.
        reasons: sentences for whoever reads the report.
    """

    honours: Literal["none", "dscp"]
    settings: Mapping[str, str | float]
    reasons: tuple[str, ...]

    def toml(self) -> str:
        """The section to paste."""
        lines = (
            f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value:_.0f}"
            for key, value in self.settings.items()
        )
        return "\n".join(("[link]", *lines))


def advise(figures: LinkFigures) -> Advice:
    """The settings that suit a link."""
    idle_s = figures.idle.p90_s
    waits_s = figures.unpaced.p90_s - idle_s
    line_rate = {"line_rate_bit_s": _rounded(figures.line_rate_bit_s)}
    if waits_s < max(_SEEN_S, _SEEN_RATIO * idle_s):
        return Advice(
            honours="none",
            settings={"mode": "adaptive", **line_rate},
            reasons=(
                "Control did not wait while data filled the link: its queues are short, or this machine is "
                "not fast enough to fill it.",
                "Adaptive pacing costs nothing here, and gives way should others fill the link.",
            ),
        )
    if figures.marked.p90_s - idle_s < _OVERTAKES * waits_s:
        return Advice(
            honours="dscp",
            settings={"mode": "auto", "honours": "dscp", **line_rate},
            reasons=(
                "Packets marked as control overtook the data: the narrowest place honours marks.",
                "Nothing has to be held back. That holds for other machines' data, too, as long as they do "
                "not mark them as control.",
            ),
        )
    steady = figures.idle.p90_s - figures.idle.p50_s < _STEADY_S
    reasons = ["Control waits behind data, and marks change nothing: the narrowest place is a plain queue."]
    if figures.paced.p90_s - idle_s > max(_SEEN_S, _PLENTY * waits_s):
        reasons.append(
            f"At {figures.fraction:.0%} of the rate control still waited: others use the link, or its rate "
            "changes. Ask for a switch that honours DSCP 46, and measure again when the link is quiet."
        )
    if steady:
        reasons.append("Adaptive pacing below this rate keeps the queue empty, and gives way to others.")
        return Advice(honours="none", settings={"mode": "adaptive", **line_rate}, reasons=tuple(reasons))
    reasons.append(
        "Round trips over the idle link vary too much to tell a queue from noise: a fixed rate suits it."
    )
    return Advice(honours="none", settings={"mode": "fixed", **line_rate}, reasons=tuple(reasons))


def _rounded(rate_bit_s: float) -> float:
    return float(f"{rate_bit_s:.3g}")
