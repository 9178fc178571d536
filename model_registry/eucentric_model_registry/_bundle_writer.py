"""A bundle folder appears complete and signed, or not at all."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from securesystemslib.dsse import Envelope
from securesystemslib.signer import Signer

from eucentric_core import (
    BUNDLE_ENVELOPE,
    BUNDLE_PAYLOAD_TYPE,
    BundleFile,
    BundleManifest,
    fsync_directory,
    sha256_file,
    write_atomic,
)

from ._errors import RegistryError

__all__ = ["listed_files", "refuse_bundle", "write_signed"]


def write_signed(folder: Path, write: Callable[[Path], BundleManifest], signer: Signer) -> BundleManifest:
    """Have a bundle's files written aside, sign them, and put them in place.

    Args:
        folder: must not exist yet; its parent is made if need be.
        write: fills an empty folder and returns the manifest of what is in it.
        signer: the registry's key.

    Raises:
        RegistryError: the folder exists.
    """
    if folder.exists():
        raise refuse_bundle(f"{folder} exists already.", "choose a new folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        manifest = write(aside)
        envelope = Envelope(manifest.model_dump_json().encode(), BUNDLE_PAYLOAD_TYPE, {})
        envelope.sign(signer)
        write_atomic(aside / BUNDLE_ENVELOPE, json.dumps(envelope.to_dict()).encode())
        fsync_directory(aside)
        aside.chmod(0o755)
        aside.rename(folder)
        fsync_directory(folder.parent)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return manifest


def listed_files(folder: Path) -> tuple[BundleFile, ...]:
    """The files of a folder as a manifest lists them."""
    return tuple(
        BundleFile(path=path.name, length_bytes=path.stat().st_size, sha256=sha256_file(path))
        for path in sorted(folder.iterdir())
    )


def refuse_bundle(what: str, next_step: str) -> RegistryError:
    """The error for parts that make no bundle."""
    return RegistryError(what, safe="no bundle was written.", next_step=next_step)
