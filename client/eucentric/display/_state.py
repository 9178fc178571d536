"""How an instrument stands, in a notebook."""

from __future__ import annotations

from eucentric_core import LeaseStatus
from eucentric_core.vocabulary import InstrumentState

from ._card import SIMULATED, card
from ._lease import holder_words
from ._words import length_words

__all__ = ["facts", "state_card"]

_NM_PER_M = 1e9


def facts(state: InstrumentState, lease: LeaseStatus | None = None) -> list[tuple[str, str]]:
    """State and lease as pairs of name and text, for people."""
    stage = state.stage
    dose = "unknown" if state.dose_e_per_a2 is None else f"{state.dose_e_per_a2:.3g} e/Å²"
    rows = [
        ("beam", "blanked" if state.beam_blanked else "ON"),
        ("scanning", "yes" if state.scanning else "no"),
        ("session", state.session or "none"),
        ("acquisitions", str(state.next_sequence)),
        ("stage x, y, z", ", ".join(f"{v * _NM_PER_M:.1f} nm" for v in (stage.x_m, stage.y_m, stage.z_m))),
        ("field of view", length_words(state.optics.field_of_view_m)),
        ("scanned dose", dose),
    ]
    if lease is not None:
        rows.append(("lease", holder_words(lease)))
    if state.age_s > 0:
        rows.append(("read", f"{state.age_s:.1f} s ago; the instrument is at work"))
    if state.fault is not None:
        rows.append(("last scan", state.fault.what))
    return rows


def state_card(state: InstrumentState) -> str:
    """A state as HTML."""
    return card("instrument", facts(state), badges=[SIMULATED] if state.simulated else ())
