"""Private keys in files: made once, read only by their owner, with a passphrase if wanted."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner

from eucentric_core import ConfigurationError, TrustedKeys, fsync_directory

__all__ = [
    "PASSPHRASE_VARIABLE",
    "generate_keys",
    "load_signer",
    "new_key",
    "read_secret",
    "trusted_keys_of",
    "write_new",
]

PASSPHRASE_VARIABLE = "EUCENTRIC_KEY_PASSPHRASE"  # noqa: S105
"""Environment variable that opens keys with a passphrase where nobody can be asked, as in a service."""

_MAX_KEY_BYTES = 64 << 10


def generate_keys(private_key: Path, trusted_keys: Path) -> TrustedKeys:
    """Make a key pair: the private key as PEM (mode 0600), the public one as `TrustedKeys` JSON.

    Raises:
        ConfigurationError: one of the two files exists already; neither is touched.
    """
    for path in (private_key, trusted_keys):
        if path.exists():
            raise _unusable(
                f"{path} exists already.", "keep using it, or move it away first; a key is never overwritten."
            )
    trusted = trusted_keys_of(new_key(private_key))
    write_new(trusted_keys, trusted.model_dump_json(indent=2).encode(), mode=0o644)
    return trusted


def new_key(path: Path, *, passphrase: str | None = None) -> CryptoSigner:
    """Make an Ed25519 key and write it (PKCS#8 PEM, mode 0600), encrypted if there is a passphrase.

    Raises:
        ConfigurationError: the file exists already; a key is never overwritten.
    """
    key = Ed25519PrivateKey.generate()
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    write_new(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption), mode=0o600)
    return CryptoSigner(key)


def load_signer(private_key: Path, *, passphrase: str | None = None) -> CryptoSigner:
    """The signer of a private key file.

    Args:
        private_key: PEM.
        passphrase: opens it; by default what the environment variable EUCENTRIC_KEY_PASSPHRASE says.

    Raises:
        ConfigurationError: the file is missing, may be read by others than its owner, is not opened by the
            passphrase, or is no Ed25519 key.
    """
    content = _read_private(private_key, "make one with `eucentric keys init`, or correct hub.signing_key.")
    encrypted = b"ENCRYPTED" in content.partition(b"\n")[0]
    word = (passphrase or os.environ.get(PASSPHRASE_VARIABLE)) if encrypted else None
    if encrypted and not word:
        raise _unusable(
            f"{private_key} is locked by a passphrase.",
            f"give it where the command asks, or in the environment variable {PASSPHRASE_VARIABLE}.",
        )
    try:
        key = load_pem_private_key(content, word.encode() if word else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if encrypted:
            raise _unusable(f"The passphrase does not open {private_key}.", "give the right one.") from error
        raise _unusable(
            f"{private_key} is not a private key in PEM form.", "restore it from a backup."
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(f"{private_key} is not an Ed25519 key.", "make one with `eucentric keys init`.")
    return CryptoSigner(key)


def trusted_keys_of(signer: CryptoSigner) -> TrustedKeys:
    """The public half of a signer as the file an edge reads."""
    return TrustedKeys(keys={signer.public_key.keyid: signer.public_key.to_dict()})


def write_new(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file that must not exist, durably, with its mode from the first moment.

    Raises:
        ConfigurationError: it exists already.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # The mode is given at creation: a later chmod would leave a moment in which others can read.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise _unusable(f"{path} exists already.", "keep using it; a key is never overwritten.") from error
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    fsync_directory(path.parent)


def read_secret(path: Path) -> str:
    """A secret word from a file that only its owner may read.

    Raises:
        ConfigurationError: the file is missing, empty, not text, or may be read by others.
    """
    content = _read_private(path, "move it away; a new one is made.").strip()
    if not content or not content.isascii():
        raise _unusable(f"{path} holds no secret.", "move it away; a new one is made.")
    return content.decode()


def _read_private(path: Path, missing: str) -> bytes:
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            content = stream.read(_MAX_KEY_BYTES)
    except OSError as error:
        raise _unusable(
            f"{path} cannot be read: {error.strerror}.",
            missing,
        ) from error
    # Windows keeps access in lists of its own; the mode says nothing about them.
    if os.name != "nt" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise _unusable(
            f"{path} is open to other users (mode {stat.S_IMODE(mode):04o}).",
            f"run `chmod 600 {path}`, and make a new key if others may have read it.",
        )
    return content


def _unusable(what: str, next_step: str) -> ConfigurationError:
    return ConfigurationError(what, safe="no key was changed and nothing was signed.", next_step=next_step)
