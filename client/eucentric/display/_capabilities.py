"""What an instrument can do, in a notebook."""

from __future__ import annotations

from eucentric_core import Capabilities

from ._card import SIMULATED, card
from ._words import length_words

__all__ = ["badges_of", "capabilities_card"]


def badges_of(capabilities: Capabilities) -> list[str]:
    """The warnings that belong to an instrument's name."""
    badges = [SIMULATED] if capabilities.simulated else []
    return badges + (["untested on hardware"] if capabilities.untested_on_hardware else [])


def capabilities_card(capabilities: Capabilities) -> str:
    """Capabilities as HTML."""
    limits = capabilities.stage_limits
    axes = {
        name: f"{length_words(low)} to {length_words(high)}"
        for name, bounds in (("x", limits.x_m), ("y", limits.y_m), ("z", limits.z_m))
        if bounds is not None
        for low, high in (bounds,)
    }
    rows = [
        ("verbs", ", ".join(capabilities.verbs)),
        ("streams", ", ".join(capabilities.streams) or "none"),
        ("cameras", ", ".join(capabilities.cameras) or "none"),
        ("spectrometers", ", ".join(capabilities.spectrometers) or "none"),
        ("largest field of view", length_words(capabilities.max_field_of_view_m)),
        *((f"stage {name}", text) for name, text in axes.items()),
    ]
    if capabilities.notes:
        rows.append(("notes", capabilities.notes))
    return card(capabilities.instrument, rows, subtitle=capabilities.model, badges=badges_of(capabilities))
