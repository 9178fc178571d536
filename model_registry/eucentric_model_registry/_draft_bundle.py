"""From what a recipe hands over to a signed bundle, whatever engine reads it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from securesystemslib.signer import Signer

from eucentric_core import BundleManifest, Lineage, utc_now, write_atomic
from eucentric_models.engines import BundleDraft, ModelDescription, engine_named, require_golden_answers

from ._bundle_writer import listed_files, write_signed

__all__ = ["BundleIdentity", "build_and_sign_draft"]


@dataclass(frozen=True, slots=True)
class BundleIdentity:
    """What makes a draft a version of a model.

    Attributes:
        name: the model, for example `atoms`.
        version: the registry's next version; it is part of what is signed.
        material: what it was trained for.
        lineage: data sets, code, trigger and run that it comes from.
    """

    name: str
    version: int
    material: str
    lineage: Lineage


def build_and_sign_draft(
    folder: Path,
    draft: BundleDraft,
    identity: BundleIdentity,
    signer: Signer,
    *,
    valid_for: timedelta = timedelta(days=365),
) -> BundleManifest:
    """Write a bundle folder; it appears complete, tested and signed, or not at all.

    Args:
        folder: must not exist yet; its parent is made if need be.
        draft: files and parameters.
        identity: name, version, material and lineage.
        signer: the registry's key.
        valid_for: after this time nobody installs it.

    Raises:
        RegistryError: the folder exists.
        EucentricError: the draft's engine is not installed or refuses the model, or the model does not
            repeat its golden answers.
        pydantic.ValidationError: a name, number or count is outside of what a manifest allows.
    """
    return write_signed(folder, lambda aside: _write(aside, draft, identity, valid_for), signer)


def _write(
    folder: Path, draft: BundleDraft, identity: BundleIdentity, valid_for: timedelta
) -> BundleManifest:
    for name, source in draft.files.items():
        write_atomic(folder / name, source.read_bytes())
    created = utc_now()
    shared = set(BundleManifest.model_fields) & set(BundleDraft.model_fields) - {"files"}
    manifest = BundleManifest.model_validate(
        {name: getattr(draft, name) for name in shared}
        | {
            "name": identity.name,
            "version": identity.version,
            "material": identity.material,
            "lineage": identity.lineage,
            "created_utc": created,
            "expires_utc": created + valid_for,
            "files": listed_files(folder),
        }
    )
    model = engine_named(draft.engine).open(folder, ModelDescription.of_manifest(manifest))
    require_golden_answers(folder, model)
    return manifest
