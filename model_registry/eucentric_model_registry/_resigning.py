"""After a key was stolen: which versions it signed, and signing those anew that are known to be good."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from eucentric_core import BundleError, FrozenModel, Settings
from eucentric_models import ModelsError

from ._carrying import import_folder
from ._registered import RegisteredVersion
from ._registry import Registry

__all__ = ["Resigned", "sign_versions_anew", "versions_of_lost_keys"]


class Resigned(FrozenModel):
    """A version that was signed anew.

    Attributes:
        version: the old one.
        envelope_sha256: of its manifest, which was compared with what was registered.
        new_version: the same files under this site's present key; None where they were not taken.
        reason: why they were not taken; empty if they were.
    """

    version: int
    envelope_sha256: str
    new_version: int | None
    reason: str = ""


def sign_versions_anew(
    settings: Settings, registry: Registry, name: str, versions: Sequence[int], *, reason: str, who: str
) -> tuple[Resigned, ...]:
    """Sign registered versions anew, oldest first, after their key was stolen. A repeat signs nothing twice.

    Of each, manifest, files and golden answers are checked first; one that fails is left, and said.

    Raises:
        UnknownVersionError: there is no such version.
        ConfigurationError: the signing key cannot be used.
        RegistryUnavailableError: MLflow does not answer.
    """
    done = []
    for version in sorted(versions):
        digest = registry.version(name, version).envelope_sha256
        new, why = None, ""
        try:
            with TemporaryDirectory(prefix="eucentric-resign-") as place:
                bundle = Path(place) / "bundle"
                registry.download(name, version, bundle, vouching=True)
                new = import_folder(
                    settings, registry, name, bundle, resign=True, reason=reason, who=who
                ).version
        except (BundleError, ModelsError) as error:
            why = error.what
        done.append(Resigned(version=version, envelope_sha256=digest, new_version=new, reason=why))
    return tuple(done)


def versions_of_lost_keys(registry: Registry, name: str) -> tuple[RegisteredVersion, ...]:
    """Versions that do not verify any more and were not signed anew yet, newest first.

    Raises:
        RegistryUnavailableError: MLflow does not answer.
    """
    versions = registry.versions(name)
    taken = {version.lineage.trigger_id for version in versions}
    lost = []
    for version in versions:
        if f"import-{version.envelope_sha256[:16]}" in taken:
            continue
        with TemporaryDirectory(prefix="eucentric-resign-") as place:
            try:
                registry.download(name, version.version, Path(place) / "bundle")
            except BundleError:
                lost.append(version)
    return tuple(lost)
