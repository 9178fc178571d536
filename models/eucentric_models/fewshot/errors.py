"""Typed failures of few-shot classification."""

from __future__ import annotations

from ..errors import ModelsError


class FewShotError(ModelsError):
    """Base of every failure of few-shot classification."""

    code = "models.few_shot"


class ChipError(FewShotError):
    """Chips that cannot be cut from a frame, or that hold nothing to look at."""

    code = "models.few_shot.chip"


class SupportSetError(FewShotError):
    """A support set that is too small, unreadable, or made with another encoder."""

    code = "models.few_shot.support_set"


class EncoderError(FewShotError):
    """An encoder that is unknown, not installed, or whose weights cannot be used."""

    code = "models.few_shot.encoder"
