"""The gallery: pictures that the tests of the dashboard have taken of SIMULATED data."""

from __future__ import annotations

from pathlib import Path

__all__ = ["with_pictures"]

_PLACE = "<!-- pictures -->"


def with_pictures(markdown: str, folder: Path) -> str:
    """Put every picture of the folder, with its name as caption, where the page leaves room for it."""
    found = sorted(folder.glob("*.png")) if folder.is_dir() else []
    shown = "\n\n".join(
        f"## {_caption(path)}\n\n![{_caption(path)}](screenshots/{path.name})" for path in found
    )
    return markdown.replace(
        _PLACE, shown or "No pictures have been taken yet: run the tests of the dashboard."
    )


def _caption(path: Path) -> str:
    return path.stem.replace("-", " ").replace("_", " ").capitalize()
