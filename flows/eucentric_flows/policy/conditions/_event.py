"""A field of the event lies within bounds, or is one of some words."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from eucentric_core import FrozenModel, event_fields

from .._circumstances import Circumstances
from .._wording import listed

__all__ = ["EventCondition"]


def _require_field(name: str) -> str:
    known = event_fields()
    if name not in known:
        raise PydanticCustomError(
            "unknown_word", "no event has a field {given}", {"given": name, "words": sorted(known)}
        )
    return name


class EventCondition(FrozenModel):
    """The event that meets the trigger says so.

    An event without the field does not hold.

    Attributes:
        field: name of a field of an event, for example `quality_score`.
        at_least: smallest value.
        at_most: largest value.
        one_of: words, compared as they are written.
    """

    kind: Literal["event"] = "event"
    field: Annotated[str, AfterValidator(_require_field)]
    at_least: float | None = None
    at_most: float | None = None
    one_of: Annotated[tuple[str, ...], Field(max_length=64)] = ()

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        numbers = self.at_least is not None or self.at_most is not None
        if numbers == bool(self.one_of):
            raise ValueError("give either at_least and at_most, or one_of")
        return self

    def unmet(self, policy: str, model: str, circumstances: Circumstances) -> str | None:
        """See `Condition`."""
        value = getattr(circumstances.event, self.field, None)
        if value is None:
            return f"the event does not state its {self.field}"
        if self.one_of:
            return None if str(value) in self.one_of else f"{self.field} is {value}"
        if not isinstance(value, int | float):
            return f"{self.field} is {value}, no number"
        if self.at_least is not None and value < self.at_least:
            return f"{self.field} {value:.3g} is below {self.at_least:.3g}"
        if self.at_most is not None and value > self.at_most:
            return f"{self.field} {value:.3g} is above {self.at_most:.3g}"
        return None

    def phrase(self, model: str) -> str:
        """See `Condition`."""
        if self.one_of:
            return f"the event's {self.field} is {listed(self.one_of, 'or')}"
        bounds = (("at least", self.at_least), ("at most", self.at_most))
        told = [f"{word} {bound:g}" for word, bound in bounds if bound is not None]
        return f"the event's {self.field} is {listed(told)}"
