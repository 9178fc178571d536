"""Why a model cannot be opened or applied."""

from __future__ import annotations

from ..errors import ModelsError

__all__ = ["EngineError", "unusable_model"]


class EngineError(ModelsError):
    """No such engine, or a model that its engine cannot use."""

    code = "models.engine"


def unusable_model(
    what: str, next_step: str = "see how this model was built; build it again."
) -> EngineError:
    """The error for a model that cannot be used."""
    return EngineError(what, safe="nothing was computed with it.", next_step=next_step)
