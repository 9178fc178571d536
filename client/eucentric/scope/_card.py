"""What a notebook shows of an instrument."""

from __future__ import annotations

import html

from eucentric_core import Capabilities, EucentricError, LeaseStatus
from eucentric_core.vocabulary import InstrumentState

__all__ = ["card", "facts"]

_NM_PER_M = 1e9


def facts(state: InstrumentState, lease: LeaseStatus) -> list[tuple[str, str]]:
    """State and lease as pairs of name and text, for people."""
    stage, field_m = state.stage, state.optics.field_of_view_m
    holder = "free"
    if lease.holder is not None:
        holder = f"{lease.holder}, {lease.remaining_s:.0f} s left"
        holder += "".join(f"; {name} asks for it" for name in lease.wanted_by)
        holder += f"; offered to {lease.offered_to}" if lease.offered_to else ""
    dose = "unknown" if state.dose_e_per_a2 is None else f"{state.dose_e_per_a2:.3g} e/Å²"
    rows = [
        ("beam", "blanked" if state.beam_blanked else "ON"),
        ("scanning", "yes" if state.scanning else "no"),
        ("session", state.session or "none"),
        ("acquisitions", str(state.next_sequence)),
        ("stage x, y, z", ", ".join(f"{v * _NM_PER_M:.1f} nm" for v in (stage.x_m, stage.y_m, stage.z_m))),
        ("field of view", "unknown" if field_m is None else f"{field_m * _NM_PER_M:.2f} nm"),
        ("scanned dose", dose),
        ("lease", holder),
    ]
    if state.age_s > 0:
        rows.append(("read", f"{state.age_s:.1f} s ago; the instrument is at work"))
    if state.fault is not None:
        rows.append(("last scan", state.fault.what))
    return rows


def card(
    capabilities: Capabilities, state: InstrumentState | EucentricError, lease: LeaseStatus | None = None
) -> str:
    """An instrument as an HTML table; an instrument that does not answer says so and what to do."""
    badges = ["SIMULATED"] if capabilities.simulated else []
    badges += ["untested on hardware"] if capabilities.untested_on_hardware else []
    marks = "".join(
        f' <span style="background:#b45309;color:#fff;padding:0 .4em;border-radius:.3em">{b}</span>'
        for b in badges
    )
    head = f"<b>{html.escape(capabilities.instrument)}</b> {html.escape(capabilities.model)}{marks}"
    if isinstance(state, EucentricError):
        rows = [("no answer", state.what), ("safe", state.safe), ("next", state.next_step)]
    else:
        rows = facts(state, lease or LeaseStatus(holder=None, epoch=0, remaining_s=0))
    body = "".join(
        f"<tr><td>{html.escape(name)}</td><td style='text-align:left'>{html.escape(text)}</td></tr>"
        for name, text in rows
    )
    return f"<div>{head}<table>{body}</table></div>"
