"""A model that comes with the package, signed and released to the edge of a practice site."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING, Any

from eucentric_core import Lineage, Settings

from ..display import require

if TYPE_CHECKING:
    from eucentric_core.releases import Release

__all__ = ["release_shipped"]


def release_shipped(settings: Settings, name: str) -> Release:
    """Sign a shipped model with the site's key and release it as version 1, which the edge takes soon.

    Args:
        settings: of the site; `edge.model` is the name it is released under.
        name: of the shipped model, for example `columns`.

    Raises:
        EngineError: no such model is shipped.
    """
    engines: Any = require("eucentric_models.engines", "edge")
    registry: Any = require("eucentric_model_registry", "hub")
    folder = engines.shipped_folder(name)
    described = engines.read_description(folder)
    shared = set(engines.BundleDraft.model_fields) & set(type(described).model_fields)
    chips = [file for chip in described.golden for file in (chip.frame, chip.expected)]
    files = dict.fromkeys((*described.members, described.drift_reference, *chips))
    draft = engines.BundleDraft.model_validate(
        {field: getattr(described, field) for field in shared}
        | {"files": {file: folder / file for file in files}}
    )
    identity = registry.BundleIdentity(
        name=settings.edge.model,
        version=1,
        material="any",
        lineage=Lineage(
            datasets=(),
            code_version=installed_version("eucentric"),
            trigger_id=f"practice-{name}",
            policy=None,
            run_id=f"practice-{name}",
        ),
    )
    bundle = settings.home / "practice" / name
    manifest = registry.build_and_sign_draft(
        bundle, draft, identity, registry.load_signer(settings.signing_key_path)
    )
    return registry.ReleaseBook.of(settings).publish(
        bundle, manifest, reason="for practice", who="practice site"
    )
