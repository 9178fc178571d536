"""Models that come with the package: folders in `eucentric_models/shipped`, made by scripts in the source."""

from __future__ import annotations

from pathlib import Path

from ._description import MODEL_FILE
from ._errors import unusable_model

__all__ = ["shipped_folder", "shipped_models"]

_SHIPPED = Path(__file__).parents[1] / "shipped"


def shipped_models() -> tuple[str, ...]:
    """Names of the models that come with the package."""
    return tuple(sorted(path.parent.name for path in _SHIPPED.glob(f"*/{MODEL_FILE}")))


def shipped_folder(name: str) -> Path:
    """Where a shipped model lies.

    Raises:
        EngineError: no model of this name is shipped.
    """
    if name not in shipped_models():
        raise unusable_model(
            f"No model {name!r} is shipped; there are {', '.join(shipped_models()) or 'none'}.",
            "name a shipped model, a registered one, or a folder.",
        )
    return _SHIPPED / name
