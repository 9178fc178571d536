"""Which bundles this edge believes: the seam, and its two implementations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue

from eucentric_core import (
    BUNDLE_ENVELOPE,
    BundleError,
    BundleManifest,
    ReleaseRefusedError,
    TrustedKeys,
    sha256_file,
    utc_now,
    verify_bundle,
)
from eucentric_core.releases import Release, ReleaseSource, ReleaseTrust, verify_released_bundle

from ._installed_state import InstalledState

__all__ = ["Admission", "BundleTrust", "KeyTrust", "ReleasedTrust"]


@dataclass(frozen=True, slots=True)
class Admission:
    """A bundle that may be put to the test, and the release that says so, where there are releases."""

    manifest: BundleManifest
    release: Release | None = None


class BundleTrust(Protocol):
    """Decides about bundles; whatever it accepts still has to show that it works."""

    def admit(self, folder: Path, state: InstalledState) -> Admission:
        """Check a bundle that is offered.

        Args:
            folder: a private copy.
            state: what is installed.

        Raises:
            BundleError: it is refused.
            ReleaseUnreachableError: what would say so cannot be asked.
        """
        ...

    def admit_trial(self, folder: Path, state: InstalledState) -> BundleManifest:
        """Check a bundle that is to be tried here and never to answer.

        Raises:
            BundleError: it is refused.
            ReleaseUnreachableError: what would say so cannot be asked.
        """
        ...

    def readmit(self, folder: Path, version: int, state: InstalledState) -> BundleManifest:
        """Check anew, and without asking anybody, a bundle that was installed.

        Raises:
            BundleError: it is not what was installed.
        """
        ...

    def report(self) -> dict[str, JsonValue]:
        """What this edge goes by, for its status."""
        ...


class KeyTrust:
    """Believes what is signed by known keys and has a version above all installed before.

    It cannot notice that something newer is held back, and follows no rotation of keys.
    """

    def __init__(self, trusted: TrustedKeys) -> None:
        self._trusted = trusted

    def admit(self, folder: Path, state: InstalledState) -> Admission:
        """See `BundleTrust.admit`."""
        if state.rank is not None:
            raise ReleaseRefusedError(
                "This edge has gone by signed releases and is now without its root metadata.",
                safe="the model in service keeps serving.",
                next_step="copy root.json from the hub to this edge and start it again.",
            )
        manifest = verify_bundle(
            folder, self._trusted, expected_name=state.model_name, newer_than=state.highest or None
        )
        return Admission(manifest)

    def admit_trial(self, folder: Path, state: InstalledState) -> BundleManifest:
        """See `BundleTrust.admit_trial`."""
        return self.admit(folder, state).manifest

    def readmit(self, folder: Path, version: int, state: InstalledState) -> BundleManifest:
        """See `BundleTrust.readmit`."""
        release = state.release_of(version)
        manifest = (
            verify_bundle(folder, self._trusted, expected_name=state.model_name, newer_than=None)
            if release is None
            else verify_released_bundle(folder, release)
        )
        return _of_version(manifest, version)

    def report(self) -> dict[str, JsonValue]:
        """See `BundleTrust.report`."""
        return {
            "goes_by": "keys",
            "state": "keys only",
            "sentence": "Bundles are believed by their keys alone; give this edge root.json for releases.",
        }


class ReleasedTrust:
    """Believes what the newest signed release names.

    Args:
        trust: verified metadata of the releases.
        source: where they are read from.
        keys: for what was installed before there were releases; None where nothing was.
    """

    def __init__(self, trust: ReleaseTrust, source: ReleaseSource, *, keys: TrustedKeys | None) -> None:
        self._trust = trust
        self._source = source
        self._keys = keys

    def admit(self, folder: Path, state: InstalledState) -> Admission:
        """See `BundleTrust.admit`."""
        release = self.newest(state)
        if release is None:
            raise ReleaseRefusedError(
                f"No release of model {state.model_name!r} was published.",
                safe="the model in service keeps serving.",
                next_step="release it on the hub: `eucentric models promote`.",
            )
        return Admission(verify_released_bundle(folder, release), release)

    def admit_trial(self, folder: Path, state: InstalledState) -> BundleManifest:
        """See `BundleTrust.admit_trial`: the newest challenger, or what is released."""
        release = self.newest_challenger(state)
        digest = sha256_file(folder / BUNDLE_ENVELOPE)
        if release is None or release.envelope_sha256 != digest:
            return self.admit(folder, state).manifest
        return verify_released_bundle(folder, release)

    def newest_challenger(self, state: InstalledState) -> Release | None:
        """The challenger that is released to be tried; None if there is none.

        Raises:
            ReleaseUnreachableError: the source does not answer.
            ReleaseRefusedError: what it shows is not to be believed.
        """
        return self._trust.newest(state.model_name, self._source, challenger=True)

    def newest(self, state: InstalledState) -> Release | None:
        """The newest release of this edge's model, not below the one installed.

        Raises:
            ReleaseUnreachableError: the source does not answer.
            ReleaseRefusedError: what it shows is not to be believed.
        """
        release = self._trust.newest(state.model_name, self._source)
        if release is not None and state.rank is not None and release.rank < state.rank:
            raise ReleaseRefusedError(
                f"Release {release.number} under root {release.root_version} is below release "
                f"{state.rank[1]} under root {state.rank[0]}, which was installed here.",
                safe="the model in service keeps serving.",
                next_step="to go back, release the older version anew: `eucentric models rollback`.",
            )
        return release

    def readmit(self, folder: Path, version: int, state: InstalledState) -> BundleManifest:
        """See `BundleTrust.readmit`. Expired metadata take no model out of service."""
        release = state.release_of(version)
        if release is not None:
            return _of_version(verify_released_bundle(folder, release), version)
        if self._keys is None:
            raise _misplaced(f"Version {version} was installed without a release, and no keys are trusted.")
        manifest = verify_bundle(folder, self._keys, expected_name=state.model_name, newer_than=None)
        return _of_version(manifest, version)

    def report(self) -> dict[str, JsonValue]:
        """See `BundleTrust.report`."""
        view, now = self._trust.view, utc_now()
        return {
            "goes_by": "releases",
            "state": view.state(now),
            "sentence": view.sentence(now),
            **view.model_dump(mode="json"),
        }


def _of_version(manifest: BundleManifest, version: int) -> BundleManifest:
    if manifest.version != version:
        raise _misplaced(f"The folder of version {version} holds version {manifest.version}.")
    return manifest


def _misplaced(what: str) -> BundleError:
    return BundleError(what, safe="it was not put in service.", next_step="install a model again.")
