"""A bundle that a release names: its signed manifest is known by length and hash."""

from __future__ import annotations

from pathlib import Path

from .._bundle import BundleManifest
from .._verification import checked_manifest, open_pinned_envelope, refuse_bundle
from ._release import Release

__all__ = ["verify_released_bundle"]


def verify_released_bundle(folder: Path, release: Release) -> BundleManifest:
    """Check a bundle against a verified release, then length and hash of every file.

    The release stands in for the signature of the manifest: it is signed by whoever may release, today, and
    holds the manifest's hash. So a bundle whose own key has been rotated away can still be released again.

    Args:
        folder: the bundle; a private copy, not a folder others can write.
        release: what `ReleaseTrust` returned.

    Raises:
        BundleError: any check failed; the error says which.
    """
    payload = open_pinned_envelope(folder, release.envelope_sha256, release.envelope_length_bytes)
    manifest = checked_manifest(folder, payload, expected_name=release.model)
    if manifest.version != release.bundle_version:
        raise refuse_bundle(
            f"The release names version {release.bundle_version}, the bundle is version {manifest.version}.",
            "ask who made this release.",
        )
    return manifest
