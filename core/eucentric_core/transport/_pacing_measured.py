"""What the doctor measured of the link, remembered on this machine for the pacer of every service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from .._errors import ConfigurationError
from .._files import write_atomic
from .._model import FrozenModel, UtcDatetime

__all__ = ["LinkMeasurement", "read_link_measurement", "write_link_measurement"]

_FILE = "link.json"


class LinkMeasurement(FrozenModel):
    """One link, measured once.

    Args:
        far_end: host that the other side of the measurement ran on.
        measured_utc: when.
        line_rate_bit_s: of the narrowest place, towards the far end, headers of packets included.
        round_trip_s: the median over the idle link.
        honours: whether packets marked as control overtook bulk data.
    """

    schema_version: Literal[1] = 1
    far_end: str
    measured_utc: UtcDatetime
    line_rate_bit_s: Annotated[float, Field(ge=1e5, le=1e12)]
    round_trip_s: Annotated[float, Field(ge=0, le=60)]
    honours: Literal["none", "dscp"]


def write_link_measurement(home: Path, measurement: LinkMeasurement) -> Path:
    """Remember a measurement; it replaces the one before. Returns where."""
    path = home / _FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, measurement.model_dump_json(indent=2).encode())
    return path


def read_link_measurement(home: Path) -> LinkMeasurement | None:
    """What was measured last; None if nothing was.

    Raises:
        ConfigurationError: the file is not one of these.
    """
    path = home / _FILE
    try:
        return LinkMeasurement.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise ConfigurationError(
            f"{path} does not hold a measurement of the link: {error}.",
            safe="nothing was sent.",
            next_step="remove the file, or measure again with `eucentric doctor --link HOST`.",
        ) from error
