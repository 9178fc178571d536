"""Where data come from: the material, sample and instrument that several triggers ask for."""

from __future__ import annotations

from eucentric_core import AnyEvent, FrozenModel, Identifier

__all__ = ["FromOrigin"]

_FIELDS = ("material", "sample", "instrument")


class FromOrigin(FrozenModel):
    """Only data of this material, sample and instrument count; what is not given is free."""

    material: Identifier | None = None
    sample: Identifier | None = None
    instrument: Identifier | None = None

    @property
    def origin(self) -> tuple[tuple[str, str], ...]:
        """What is asked for, by name."""
        asked = ((name, getattr(self, name)) for name in _FIELDS)
        return tuple((name, value) for name, value in asked if value is not None)

    def is_from_here(self, event: AnyEvent) -> bool:
        """Whether the event states all that is asked for."""
        return all(getattr(event, name, None) == value for name, value in self.origin)

    def of_origin(self) -> str:
        """` of mos2, sample s3, from microscope-1`, as far as it is asked for."""
        parts = {"material": " of {}", "sample": " of sample {}", "instrument": " from {}"}
        return "".join(parts[name].format(value) for name, value in self.origin)
