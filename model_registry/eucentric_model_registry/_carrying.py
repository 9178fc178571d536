"""Versions out of the registry and into it, by folder: a memory stick is a channel like any other."""

from __future__ import annotations

import shutil
from pathlib import Path

from eucentric_core import (
    BUNDLE_ENVELOPE,
    BundleError,
    BundleManifest,
    FrozenModel,
    Lineage,
    Settings,
    sha256_file,
    utc_now,
    verify_bundle,
)
from eucentric_core.releases import bundle_folder
from eucentric_models.engines import ModelDescription, engine_named, require_golden_answers

from ._bundle_writer import refuse_bundle, write_signed
from ._keys import load_signer
from ._registered import RegisteredVersion
from ._registry import Registry
from ._release_book import ReleaseBook
from ._stored_bundle import checked_files

__all__ = ["Exported", "export_version", "import_folder"]

_CARRIED = ("metadata", "targets")


class Exported(FrozenModel):
    """Where an exported version lies.

    Attributes:
        bundle: folder of the bundle.
        releases: folder to name as `edge.releases`; None where the version is not the released one.
    """

    bundle: Path
    releases: Path | None


def export_version(settings: Settings, registry: Registry, name: str, version: int, to: Path) -> Exported:
    """Write a version to a new folder; the released one together with what makes edges believe it.

    Raises:
        RegistryError: the folder exists.
        BundleError: what MLflow holds is not what was registered.
    """
    if to.exists():
        raise refuse_bundle(f"{to} exists already.", "choose a new folder.")
    book = ReleaseBook.of(settings)
    release = None if book is None else book.current(name)
    registered = registry.version(name, version)
    if release is None or release.envelope_sha256 != registered.envelope_sha256:
        registry.download(name, version, to)
        return Exported(bundle=to, releases=None)
    bundle = to / bundle_folder(name, version)
    try:
        bundle.parent.mkdir(parents=True)
        registry.download(name, version, bundle)
        for folder in _CARRIED:
            shutil.copytree(settings.releases_path / folder, to / folder)
    except BaseException:
        shutil.rmtree(to, ignore_errors=True)
        raise
    return Exported(bundle=bundle, releases=to)


def import_folder(
    settings: Settings,
    registry: Registry,
    name: str,
    folder: Path,
    *,
    resign: bool,
    reason: str,
    who: str,
    expected_sha256: str | None = None,
) -> RegisteredVersion:
    """Register a bundle from elsewhere and nominate it. The same folder twice gives one version.

    Args:
        settings: of this site.
        registry: to register in.
        name: the model it becomes a version of.
        folder: of the bundle.
        resign: sign it anew, with this site's key and the next version, whoever signed it before; its files
            and golden answers are checked first.
        reason: why; part of its lineage when it is signed anew.
        who: takes it in.
        expected_sha256: of its signed manifest, as known from elsewhere; None: nobody knows it.

    Raises:
        BundleError: its manifest is not the expected one, it is not signed by a trusted key, or its files are
            not what its manifest says.
        VersionConflictError: its signed version is not the next one: sign it anew.
    """
    digest = sha256_file(folder / BUNDLE_ENVELOPE)
    if expected_sha256 is not None and digest != expected_sha256.lower():
        raise BundleError(
            f"The manifest of {folder} has the hash {digest}, not the one that was expected.",
            safe="nothing was signed and nothing was registered.",
            next_step="find out who changed it; take it from an edge that serves it, or from a backup.",
        )
    if not resign:
        verify_bundle(folder, registry.trusted, expected_name=name, newer_than=None)
        registered = registry.register(name, folder)
    else:
        trigger_id = f"import-{digest[:16]}"
        registered = registry.find_by_trigger(name, trigger_id) or _signed_anew(
            settings, registry, name, folder, trigger_id, f"{reason or 'imported'} ({who})"
        )
    if "champion" in registered.aliases:
        return registered
    return registry.nominate(name, registered.version)


def _signed_anew(
    settings: Settings, registry: Registry, name: str, folder: Path, trigger_id: str, reason: str
) -> RegisteredVersion:
    # Signed by whomever: that its files are those it lists is checked here, that it works below.
    claimed = checked_files(folder)
    aside = settings.home / "imports" / trigger_id
    shutil.rmtree(aside, ignore_errors=True)

    def write(target: Path) -> BundleManifest:
        for file in claimed.files:
            shutil.copyfile(folder / file.path, target / file.path)
        model = engine_named(claimed.engine).open(target, ModelDescription.of_manifest(claimed))
        require_golden_answers(target, model)
        now = utc_now()
        return claimed.model_copy(
            update={
                "name": name,
                "version": registry.next_version(name),
                "created_utc": now,
                "expires_utc": now + (claimed.expires_utc - claimed.created_utc),
                "lineage": Lineage(
                    datasets=claimed.lineage.datasets,
                    code_version=claimed.lineage.code_version,
                    trigger_id=trigger_id,
                    policy=None,
                    run_id=claimed.lineage.run_id,
                    trained_from=f"{claimed.name} v{claimed.version}, {reason}",
                ),
            }
        )

    try:
        write_signed(aside, write, load_signer(settings.signing_key_path))
        return registry.register(name, aside)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
