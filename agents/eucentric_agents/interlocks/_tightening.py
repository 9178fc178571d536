"""Making limits tighter, never wider. Pure decisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import JsonValue, ValidationError

from eucentric_core import CommandRefusedError, FrozenModel

from ._file import explain
from ._limits import Limits

__all__ = ["tightened"]

_Sense = Literal["smaller", "larger", "narrower", "more", "fixed"]
"""Which change makes a limit tighter."""

SENSES: dict[str, dict[str, _Sense]] = {
    "stage": {
        "x_m": "narrower",
        "y_m": "narrower",
        "z_m": "narrower",
        "alpha_rad": "narrower",
        "beta_rad": "narrower",
        "max_tilt_rad": "smaller",
        "z_at_full_tilt_m": "smaller",
        "max_step_m": "smaller",
        "max_tilt_step_rad": "smaller",
        "keep_out": "more",
    },
    "rate": {"min_interval_s": "larger", "moves_per_minute": "smaller"},
    "dose": {
        "region_e_per_a2": "smaller",
        "session_e_per_a2": "smaller",
        "region_beam_on_s": "smaller",
        "session_beam_on_s": "smaller",
        "region_size_m": "fixed",
        # From unknown to assumed would let a beam on that is refused now.
        "assumed_beam_current_a": "fixed",
        "reaction_s": "larger",
    },
    "detector": {
        "max_electrons_per_pixel": "smaller",
        "max_beam_current_a": "smaller",
        "min_field_of_view_m": "larger",
    },
    "beam": {"max_unblank_s": "smaller"},
}


def tightened(limits: Limits, changes: Mapping[str, Any]) -> Limits:
    """The limits with some of them made tighter.

    Args:
        limits: the limits in force.
        changes: new values by section and key, as in the file. `keep_out` lists boxes to add.

    Raises:
        CommandRefusedError: a section, key or value is not understood, or one value of one limit would be
            wider than it is; nothing has changed then.
    """
    sections: dict[str, Any] = limits.model_dump()
    for section, keys in changes.items():
        if section not in SENSES or not isinstance(keys, Mapping):
            raise _refused(f"Interlocks have no section {section!r}.", section)
        for key, wish in keys.items():
            value = wish
            if key not in SENSES[section]:
                raise _refused(f"Interlocks have no {section}.{key}.", f"{section}.{key}")
            if SENSES[section][key] == "more":
                value = [*sections[section][key], *(wish if isinstance(wish, list | tuple) else [wish])]
            sections[section][key] = value
    try:
        wanted = Limits.model_validate(sections)
    except ValidationError as error:
        raise _refused(f"The change {explain(error)}.", "") from error
    for section, keys in changes.items():
        for key in keys:
            name = f"{section}.{key}"
            before: Any = getattr(getattr(limits, section), key)
            after: Any = getattr(getattr(wanted, section), key)
            if not _is_no_wider(SENSES[section][key], before, after):
                raise _refused(
                    f"{name} = {_shown(after)} would be wider than the {_shown(before)} in force.",
                    name,
                    before,
                )
    return wanted


def _is_no_wider(sense: _Sense, before: Any, after: Any) -> bool:
    if before == after or sense == "more":
        return True
    if sense == "fixed" or after is None:
        return False
    if before is None:
        return True
    if sense == "narrower":
        return bool(before[0] <= after[0] and after[1] <= before[1])
    return bool(after <= before if sense == "smaller" else after >= before)


def _shown(value: Any) -> str:
    return str(list(value)) if isinstance(value, tuple) else str(value)


def _refused(what: str, name: str, limit: Any = None) -> CommandRefusedError:
    plain: JsonValue = list(limit) if isinstance(limit, tuple) else limit
    if isinstance(limit, FrozenModel):
        plain = limit.model_dump(mode="json")
    return CommandRefusedError(
        what,
        safe="the limits are as they were.",
        next_step="limits can only be made tighter from here; the file at the instrument sets wider ones.",
        interlock=name,
        limit=plain,
    )
