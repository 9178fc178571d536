"""A registered version as the tags of an MLflow model version, and back."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from eucentric_core import BundleManifest, Identifier, Lineage, run_environment, utc_now

from ._errors import RegistryError
from ._registered import RegisteredVersion

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

__all__ = ["checked_name", "is_valid", "registered_version", "trigger_digest", "version_tags"]

_NAME: TypeAdapter[str] = TypeAdapter(Identifier)


def checked_name(name: str) -> str:
    """A model name that cannot change the meaning of a search.

    Raises:
        RegistryError: it is not an identifier.
    """
    try:
        return _NAME.validate_python(name)
    except ValidationError as error:
        raise RegistryError(
            f"{name!r} cannot be the name of a model.",
            safe="nothing was changed.",
            next_step="use letters, digits, '.', '_' and '-', at most 100.",
        ) from error


def trigger_digest(trigger_id: str) -> str:
    """SHA-256 of a trigger id; unlike the id it has no quotes that could change a search."""
    return hashlib.sha256(trigger_id.encode()).hexdigest()


def version_tags(manifest: BundleManifest, envelope_sha256: str) -> dict[str, str]:
    """The tags that a version is created with, in one transaction with the version itself."""
    lineage = manifest.lineage
    return {
        "bundle_version": str(manifest.version),
        "envelope_sha256": envelope_sha256,
        "registered_utc": utc_now().isoformat(),
        "lineage": lineage.model_dump_json(),
        "metrics": json.dumps(manifest.metrics),
        "environment": json.dumps(run_environment()),
        "trigger_sha256": trigger_digest(lineage.trigger_id),
        # The rest is for people who look at MLflow's own page.
        "trigger_id": lineage.trigger_id,
        "policy": lineage.policy or "none",
        "datasets": ", ".join(lineage.datasets) or "none",
        "code_version": lineage.code_version,
        "training_run_id": lineage.run_id,
    }


def is_valid(version: ModelVersion) -> bool:
    """Whether MLflow gave the version the number that its manifest was signed with.

    The number a version gets is known only after it was created, so of two writers that were equally
    fast one gets a number that is not in its manifest. Such a version never counts.
    """
    return version.tags.get("bundle_version") == str(version.version)


def registered_version(version: ModelVersion, aliases: dict[str, str]) -> RegisteredVersion:
    """The version as a value; `aliases` maps an alias to the number of its version."""
    number = str(version.version)
    return RegisteredVersion(
        name=version.name,
        version=int(number),
        run_id=version.run_id or "",
        envelope_sha256=version.tags["envelope_sha256"],
        lineage=Lineage.model_validate_json(version.tags["lineage"]),
        metrics=json.loads(version.tags["metrics"]),
        registered_utc=version.tags["registered_utc"],
        environment=json.loads(version.tags.get("environment", "{}")),
        aliases=tuple(sorted(alias for alias, target in aliases.items() if target == number)),
    )
