"""What the registry knows about a version, and about who made which one champion."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from eucentric_core import FrozenModel, Identifier, Lineage, Sha256, UtcDatetime

__all__ = ["Promotion", "RegisteredVersion"]


class RegisteredVersion(FrozenModel):
    """One registered bundle. `run_id` is MLflow's; the training run is `lineage.run_id`."""

    name: Identifier
    version: Annotated[int, Field(ge=1)]
    run_id: str
    envelope_sha256: Sha256
    lineage: Lineage
    metrics: dict[str, float]
    registered_utc: UtcDatetime
    aliases: tuple[str, ...] = ()


class Promotion(FrozenModel):
    """The champion alias moved. Rollbacks are promotions of an older version."""

    name: Identifier
    version: Annotated[int, Field(ge=1)]
    previous_version: int | None
    reason: str
    who: str
    promoted_utc: UtcDatetime
