"""Checking a version from end to end, and saying what was checked."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from eucentric_core import (
    BUNDLE_ENVELOPE,
    BundleManifest,
    FrozenModel,
    Settings,
    TrustedKeys,
    claimed_manifest,
    sha256_file,
    utc_now,
    verify_bundle,
)
from eucentric_core.releases import ReleaseTrust
from eucentric_models.engines import ModelDescription, engine_named, require_golden_answers
from eucentric_transfer import PosixMover

from ._registry import Registry
from ._release_book import ReleaseBook

__all__ = ["Checked", "verify_folder", "verify_registered"]


class Checked(FrozenModel):
    """What was checked and held; anything that does not hold is raised instead.

    Attributes:
        name: of the model.
        version: in the signed manifest.
        checked: what held, one sentence each.
        notes: what was not checked, and why.
    """

    name: str
    version: int
    checked: tuple[str, ...]
    notes: tuple[str, ...] = ()


def verify_folder(folder: Path, trusted: TrustedKeys) -> Checked:
    """Check the bundle in a folder: signature, files, golden answers.

    Raises:
        BundleError: something does not hold.
        ModelsError: the engine refuses the model.
    """
    manifest = verify_bundle(folder, trusted, expected_name=claimed_manifest(folder).name, newer_than=None)
    return Checked(name=manifest.name, version=manifest.version, checked=_checked(folder, manifest, trusted))


def verify_registered(settings: Settings, registry: Registry, name: str, version: int) -> Checked:
    """Check a registered version, and whether the newest release names it, as an edge would.

    Raises:
        BundleError: something does not hold.
        ReleaseRefusedError: no edge would believe the releases as they are now.
        ModelsError: the engine refuses the model.
        RegistryUnavailableError: MLflow does not answer.
    """
    with TemporaryDirectory(prefix="eucentric-verify-") as place:
        folder = Path(place) / "bundle"
        manifest = registry.download(name, version, folder)
        checked = [
            "what MLflow holds is what was registered",
            *_checked(folder, manifest, registry.trusted),
        ]
        if ReleaseBook.of(settings) is None:
            alone = "this site has no root yet: edges go by keys alone (`eucentric keys init`)"
            return Checked(name=name, version=version, checked=tuple(checked), notes=(alone,))
        trust = ReleaseTrust(Path(place) / "trust", settings.trust_root_path)
        release = trust.newest(name, PosixMover(settings.releases_path))
        until = trust.view.fresh_until_utc
        checked.append(
            f"the signed metadata of the releases, under root {trust.view.root_version}"
            + ("" if until is None else f", fresh for {(until - utc_now()).days} days")
        )
        if release is None:
            notes = ["no version of this model was released"]
        elif release.envelope_sha256 == sha256_file(folder / BUNDLE_ENVELOPE):
            checked.append(f"release {release.number} names this very bundle ({release.reason})")
            notes = []
        else:
            notes = [f"the newest release, number {release.number}, names v{release.bundle_version}"]
        return Checked(name=name, version=version, checked=tuple(checked), notes=tuple(notes))


def _checked(folder: Path, manifest: BundleManifest, trusted: TrustedKeys) -> tuple[str, ...]:
    model = engine_named(manifest.engine).open(folder, ModelDescription.of_manifest(manifest))
    require_golden_answers(folder, model)
    return (
        f"signed by {trusted.threshold} trusted key(s), valid until {manifest.expires_utc:%Y-%m-%d}",
        f"length and hash of {len(manifest.files)} files",
        f"engine {manifest.engine}: {len(manifest.members)} member(s), {len(manifest.golden)} golden answers",
    )
