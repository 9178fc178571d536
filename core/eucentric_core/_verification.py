"""Deciding whether the bytes of a bundle may be trusted. Signing lives in the model registry."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, ValidationError
from securesystemslib.exceptions import FormatError, VerificationError

from ._bundle import BUNDLE_ENVELOPE, BUNDLE_PAYLOAD_TYPE, BundleManifest
from ._errors import BundleError, ConfigurationError
from ._files import sha256_file
from ._model import FrozenModel, utc_now

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import Key

__all__ = [
    "MAX_ENVELOPE_BYTES",
    "TrustedKeys",
    "checked_manifest",
    "claimed_manifest",
    "open_pinned_envelope",
    "refuse_bundle",
    "verify_bundle",
]

MAX_ENVELOPE_BYTES = 1 << 20
"""A signed manifest larger than this is refused unread (endless-data attack)."""

_SAFE = "nothing of the bundle was opened; the model in service keeps serving."


class TrustedKeys(FrozenModel):
    """Public keys an edge trusts for bundles, and how many of them must have signed.

    `keys` maps a key id to the key as securesystemslib writes it.
    """

    threshold: Annotated[int, Field(ge=1)] = 1
    keys: dict[str, dict[str, object]]

    def load(self) -> list[Key]:
        """The keys as objects that verify."""
        # Importing it brings in every SDK of a key store that is installed, boto3 among them.
        from securesystemslib.signer import SSlibKey

        return [SSlibKey.from_dict(keyid, dict(key)) for keyid, key in self.keys.items()]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file of trusted keys.

        Raises:
            ConfigurationError: the file is missing, unreadable, or holds no usable key.
        """
        try:
            trusted = cls.model_validate_json(path.read_bytes())
            usable = len(trusted.load())
        except FileNotFoundError as error:
            raise _no_keys(f"File of trusted keys {path} does not exist.") from error
        except (OSError, ValidationError, KeyError, TypeError, ValueError) as error:
            raise _no_keys(f"File of trusted keys {path} cannot be used: {error}.") from error
        if not 1 <= trusted.threshold <= usable:
            raise _no_keys(
                f"File {path} asks for {trusted.threshold} signature(s) and holds {usable} key(s)."
            )
        return trusted


def _no_keys(what: str) -> ConfigurationError:
    return ConfigurationError(
        what,
        safe="no bundle is trusted without it.",
        next_step="make keys with `eucentric keys init` on the hub and copy the public file to this machine.",
    )


def refuse_bundle(what: str, next_step: str) -> BundleError:
    """The error for a bundle that is not to be trusted."""
    return BundleError(what, safe=_SAFE, next_step=next_step)


def verify_bundle(
    folder: Path, trusted: TrustedKeys, *, expected_name: str, newer_than: int | None
) -> BundleManifest:
    """Check signature, expiry, name, version, then length and hash of every file, in this order.

    The answer holds for the bytes that were read: verify a private copy, not a folder others can write.

    Args:
        folder: the bundle; it must hold the signed manifest and the listed files and nothing else.
        trusted: whose signatures count.
        expected_name: the model this edge serves.
        newer_than: the version in service; the bundle's must be higher. None at the first install.

    Raises:
        BundleError: any check failed; the error says which.
    """
    envelope = _parsed(_read_envelope(folder / BUNDLE_ENVELOPE))
    try:
        envelope.verify(trusted.load(), trusted.threshold)
    except (VerificationError, KeyError, TypeError, ValueError) as error:
        raise refuse_bundle(
            f"The manifest is not signed by {trusted.threshold} trusted key(s).",
            "check the registry's signing key against this edge's trusted keys.",
        ) from error
    return checked_manifest(folder, envelope.payload, expected_name=expected_name, newer_than=newer_than)


def open_pinned_envelope(folder: Path, sha256: str, length_bytes: int) -> bytes:
    """The manifest of a bundle whose signed manifest is known by length and hash, as unread JSON.

    Raises:
        BundleError: it is another one, or no signed manifest.
    """
    content = _read_envelope(folder / BUNDLE_ENVELOPE)
    if len(content) != length_bytes or hashlib.sha256(content).hexdigest() != sha256:
        raise refuse_bundle(
            "The bundle is not the one that the newest release names.",
            "release this version on the hub (`eucentric models promote`), or fetch the released one.",
        )
    payload: bytes = _parsed(content).payload
    return payload


def claimed_manifest(folder: Path) -> BundleManifest:
    """What a bundle says of itself; nothing of it is verified.

    Raises:
        BundleError: there is no manifest of this schema.
    """
    try:
        return BundleManifest.model_validate_json(_parsed(_read_envelope(folder / BUNDLE_ENVELOPE)).payload)
    except ValidationError as error:
        raise refuse_bundle(
            f"The manifest is not of this schema: {error}.", "update this machine."
        ) from error


def checked_manifest(
    folder: Path, payload: bytes, *, expected_name: str, newer_than: int | None = None
) -> BundleManifest:
    """From the trusted text of a manifest to the manifest, with every file held against it.

    Raises:
        BundleError: wrong schema, expired, another model, not newer, or a file is not what was signed.
    """
    try:
        manifest = BundleManifest.model_validate_json(payload)
    except ValidationError as error:
        raise refuse_bundle(
            f"The signed manifest is not of this schema: {error}.", "update this edge."
        ) from error
    if manifest.expires_utc <= utc_now():
        raise refuse_bundle(
            f"Bundle {manifest.name} v{manifest.version} expired at {manifest.expires_utc.isoformat()}.",
            "publish a fresh version, or correct this machine's clock.",
        )
    if manifest.name != expected_name:
        raise refuse_bundle(
            f"The bundle is for model {manifest.name!r}, not {expected_name!r}.", "check the registry."
        )
    if newer_than is not None and manifest.version <= newer_than:
        raise refuse_bundle(
            f"Version {manifest.version} is not above version {newer_than} in service.",
            "publish the older weights under a new version to roll back.",
        )
    try:
        _check_files(folder, manifest)
    except OSError as error:
        raise refuse_bundle(f"The bundle cannot be read: {error}.", "check its permissions.") from error
    return manifest


def _read_envelope(path: Path) -> bytes:
    try:
        if path.is_symlink() or not path.is_file():
            raise refuse_bundle(f"{path.name} is missing from the bundle.", "fetch the bundle again.")
        with path.open("rb") as stream:
            content = stream.read(MAX_ENVELOPE_BYTES + 1)
    except OSError as error:
        raise refuse_bundle(
            f"{path.name} cannot be read: {error}.", "check the permissions of the bundle."
        ) from error
    if len(content) > MAX_ENVELOPE_BYTES:
        raise refuse_bundle(
            f"{path.name} is larger than {MAX_ENVELOPE_BYTES} bytes.", "ask who made this bundle."
        )
    return content


def _parsed(content: bytes) -> Envelope:
    from securesystemslib.dsse import Envelope  # late, as in `TrustedKeys.load`

    try:
        envelope: Envelope = Envelope.from_dict(json.loads(content, object_pairs_hook=_once))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, FormatError) as error:
        raise refuse_bundle(
            f"{BUNDLE_ENVELOPE} is not a signed manifest: {error}.", "fetch the bundle again."
        ) from error
    if envelope.payload_type != BUNDLE_PAYLOAD_TYPE:
        raise refuse_bundle(
            f"The envelope holds {envelope.payload_type!r}, not a bundle.", "check what was published."
        )
    return envelope


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # Of two values of one name a reader takes one, and it need not be the one that another reader takes.
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name comes twice")
    return dict(pairs)


def _check_files(folder: Path, manifest: BundleManifest) -> None:
    present = {entry.name for entry in folder.iterdir()} - {BUNDLE_ENVELOPE}
    listed = {file.path for file in manifest.files}
    if present != listed:
        raise refuse_bundle(
            f"Files differ from the signed list: {sorted(present ^ listed)}.", "fetch the bundle again."
        )
    for file in manifest.files:
        path = folder / file.path
        if path.is_symlink() or not path.is_file():
            raise refuse_bundle(f"{file.path} is not a plain file.", "ask who made this bundle.")
        if path.stat().st_size != file.length_bytes:
            raise refuse_bundle(
                f"{file.path} has {path.stat().st_size} bytes, {file.length_bytes} were signed.",
                "fetch the bundle again.",
            )
        if sha256_file(path) != file.sha256:
            raise refuse_bundle(
                f"The content of {file.path} is not what was signed.", "fetch the bundle again."
            )
