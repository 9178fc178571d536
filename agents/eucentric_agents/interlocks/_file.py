"""Reading the local file of limits: all of it is understood, or the agent does not start."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from eucentric_core import Capabilities, ConfigurationError, lower_first, unit_hint

from ._limits import Limits, StageEnvelope

__all__ = ["defaults_for", "explain", "read_limits"]

_MAX_BYTES = 1 << 20
_AXES = ("x_m", "y_m", "z_m", "alpha_rad", "beta_rad")


def read_limits(path: Path, capabilities: Capabilities) -> Limits:
    """The limits in a file, or the defaults where there is no file.

    The stage's ranges are never wider than what the driver declares.

    Raises:
        ConfigurationError: the file is damaged, empty, too large, has an unknown key or a value out of its
            bounds, or leaves the stage no room; it names the key.
    """
    declared = defaults_for(capabilities)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise _damaged(path, f"is larger than {_MAX_BYTES} bytes")
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return declared
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _damaged(path, f"is not valid TOML: {error}") from error
    except OSError as error:
        raise _damaged(path, f"cannot be read: {error.strerror or error}") from error
    if not content:
        # What a crash leaves of a file must not pass for "no limits".
        raise _damaged(path, "is empty")
    try:
        limits = Limits.model_validate(content)
    except ValidationError as error:
        raise _damaged(path, explain(error)) from error
    return limits.model_copy(update={"stage": _within(limits.stage, declared.stage, path)})


def defaults_for(capabilities: Capabilities) -> Limits:
    """The limits of an instrument without a file: the stage's own ranges.

    Budgets, rates and detector limits depend on specimen and detector, and have no default.
    """
    spans: dict[str, Any] = {axis: getattr(capabilities.stage_limits, axis) for axis in _AXES}
    offset = capabilities.max_stage_offset_m
    if offset is not None:
        for axis in ("x_m", "y_m"):
            spans[axis] = spans[axis] or (-min(offset, 5e-3), min(offset, 5e-3))
    return Limits(stage=StageEnvelope(**spans))


def explain(error: ValidationError) -> str:
    """The first problem of some limits in one line: the key, and the unit that was probably meant."""
    first = error.errors()[0]
    place = first["loc"]
    key = ".".join(str(part) for part in place) or "the file"
    names = [part for part in place if isinstance(part, str)]
    given, bounds = first["input"], first.get("ctx", {})
    problem = f"has a problem at {key}: {lower_first(first['msg'])}"
    if names and isinstance(given, int | float):
        low = -bounds["le"] if "le" in bounds else bounds.get("ge", 0.0)
        high = bounds.get("le", -float(bounds.get("ge", 0.0)))
        hint = unit_hint(names[-1], float(given), float(low), float(high))
        problem = problem if hint is None else f"{problem}. {hint[:-1]}"
    return problem


def _within(chosen: StageEnvelope, declared: StageEnvelope, path: Path) -> StageEnvelope:
    narrowed: dict[str, tuple[float, float]] = {}
    for axis, ours, theirs in zip(_AXES, chosen.spans, declared.spans, strict=True):
        given = [span for span in (ours, theirs) if span is not None]
        if not given:
            continue
        low, high = max(span[0] for span in given), min(span[1] for span in given)
        if low > high:
            raise _damaged(path, f"leaves the stage no room: stage.{axis} is outside the driver's own range")
        narrowed[axis] = low, high
    return chosen.model_copy(update=narrowed)


def _damaged(path: Path, problem: str) -> ConfigurationError:
    return ConfigurationError(
        f"The file of interlocks {path} {problem}.",
        safe="the agent did not start; nothing was moved and no beam was let on.",
        next_step="correct the file at the instrument. Without it only the stage's own ranges hold, and the "
        "limits on dose, rate, detectors and beam are off.",
    )
