"""What the registry knows about a version, and about who made which one champion."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from eucentric_core import FrozenModel, Identifier, Lineage, Sha256, UtcDatetime

__all__ = ["Promotion", "RegisteredVersion"]


class RegisteredVersion(FrozenModel):
    """One registered bundle. `run_id` is MLflow's; the training run is `lineage.run_id`.

    `environment` says with what it was built and registered, by package.
    """

    name: Identifier
    version: Annotated[int, Field(ge=1)]
    run_id: str
    envelope_sha256: Sha256
    lineage: Lineage
    metrics: dict[str, float]
    registered_utc: UtcDatetime
    environment: dict[str, str] = {}
    aliases: tuple[str, ...] = ()


class Promotion(FrozenModel):
    """The champion alias moved.

    `kind`: `promoted` to a newer version, `rolled_back` to an older one by a person, or `withdrawn` because
    an edge refused what was promoted.
    """

    name: Identifier
    version: Annotated[int, Field(ge=1)]
    previous_version: int | None
    reason: str
    who: str
    promoted_utc: UtcDatetime
    kind: Literal["promoted", "rolled_back", "withdrawn"] = "promoted"
