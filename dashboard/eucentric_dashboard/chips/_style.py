"""How chips and the steps beside them look."""

from __future__ import annotations

from pathlib import Path

__all__ = ["CHIP_STYLE"]

CHIP_STYLE = Path(__file__).with_name("style.css")
"""For `ui.add_css` on every page that shows a `ChipCanvas`."""
