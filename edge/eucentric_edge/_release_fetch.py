"""Bringing a released bundle's files here from wherever releases are published."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from eucentric_core import (
    BUNDLE_ENVELOPE,
    MAX_ENVELOPE_BYTES,
    BundleError,
    ReleaseUnreachableError,
    claimed_manifest,
    require_free_space,
)
from eucentric_core.releases import Release, ReleaseSource, bundle_folder

__all__ = ["fetch_released"]


def fetch_released(source: ReleaseSource, release: Release, destination: Path) -> None:
    """Fetch the files that a verified release names; each is held to its signed hash on the way.

    Args:
        source: where releases are published.
        release: what `ReleaseTrust` returned.
        destination: made anew; what was there is removed.

    Raises:
        BundleError: what lies there is not what was released.
        ReleaseUnreachableError: the bundle is not there.
        TransferFailedError: a file did not arrive.
        OutOfSpaceError: there is no room for it.
    """
    shutil.rmtree(destination, ignore_errors=True)
    folder = bundle_folder(release.model, release.bundle_version)
    name = f"{folder}/{BUNDLE_ENVELOPE}"
    envelope = source.read_many([name], max_bytes=MAX_ENVELOPE_BYTES)[name]
    if envelope is None:
        raise ReleaseUnreachableError(
            f"The files of {release.model} v{release.bundle_version} are not where releases are published.",
            safe="the model in service keeps serving.",
            next_step="copy the folder `bundles` along with `metadata` and `targets`.",
        )
    if hashlib.sha256(envelope).hexdigest() != release.envelope_sha256:
        raise _refuse(f"The manifest of {release.model} v{release.bundle_version} is not the released one.")
    destination.mkdir(parents=True)
    (destination / BUNDLE_ENVELOPE).write_bytes(envelope)
    # Its hash is the released one, so what it says of itself is true.
    manifest = claimed_manifest(destination)
    require_free_space(destination, sum(file.length_bytes for file in manifest.files))
    for file in manifest.files:
        source.get(f"{folder}/{file.path}", destination / file.path, sha256=file.sha256)


def _refuse(what: str) -> BundleError:
    return BundleError(
        what, safe="the model in service keeps serving.", next_step="publish the release again on the hub."
    )
