"""How far the twin's stage reaches, and the refusal of everything beyond, before anything moves."""

from __future__ import annotations

from eucentric_core import CommandRefusedError, StageLimits

__all__ = ["refuse_beyond", "stage_limits"]

_MAX_HEIGHT_M = 4e-7


def stage_limits(extent_m: float, tilt_limit_rad: float) -> StageLimits:
    """Limits of a stage under a specimen of that extent."""
    half, tilt = extent_m / 2, tilt_limit_rad
    return StageLimits(
        x_m=(-half, half),
        y_m=(-half, half),
        z_m=(-_MAX_HEIGHT_M, _MAX_HEIGHT_M),
        alpha_rad=(-tilt, tilt),
        beta_rad=(-tilt, tilt),
    )


def refuse_beyond(limits: StageLimits, **target: float | None) -> None:
    """Check where a move would go; None is an axis that stays.

    Raises:
        CommandRefusedError: a coordinate is beyond its limit; names it.
    """
    for axis, value in target.items():
        low, high = getattr(limits, axis) or (0.0, 0.0)
        if value is not None and not low <= value <= high:
            name, unit = axis.split("_")
            raise CommandRefusedError(
                f"{name} = {value:.3e} {unit} is outside the stage's range of {low:.3e} to {high:.3e}.",
                safe="the stage did not move.",
                next_step="stay within the range (see the capabilities).",
            )
