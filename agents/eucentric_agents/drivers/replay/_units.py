"""Units of length as the field's files spell them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["metres_per_unit"]

_METRES: Mapping[str, float] = MappingProxyType(
    {
        "m": 1.0,
        "meter": 1.0,
        "metre": 1.0,
        "mm": 1e-3,
        "um": 1e-6,
        "µm": 1e-6,  # U+00B5, the micro sign
        "μm": 1e-6,  # U+03BC, the Greek letter
        "micron": 1e-6,
        "microns": 1e-6,
        "micrometer": 1e-6,
        "nm": 1e-9,
        "nanometer": 1e-9,
        "a": 1e-10,
        "å": 1e-10,  # U+00E5
        "angstrom": 1e-10,
        "angstroms": 1e-10,
        "ångström": 1e-10,
        "pm": 1e-12,
        "picometer": 1e-12,
    }
)


def metres_per_unit(unit: str | None) -> float | None:
    """How many metres a unit of length is; None for what is no length (`1/nm`, `px`, nothing).

    Example:
        >>> metres_per_unit("Å")
        1e-10
    """
    if unit is None:
        return None
    # ImageJ writes the micro sign as an escape.
    return _METRES.get(unit.strip().replace("\\u00B5", "µ").casefold().replace("μ", "µ"))
