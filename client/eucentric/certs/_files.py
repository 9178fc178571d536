"""Folders that appear whole or not at all, and keys that nobody else can read."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from eucentric_core import ConfigurationError, fsync_directory

__all__ = ["create_folder", "key_bytes", "load_key", "refused"]


def refused(what: str, next_step: str) -> ConfigurationError:
    """The error of every command here: nothing has been written."""
    return ConfigurationError(what, safe="nothing was issued, revoked or overwritten.", next_step=next_step)


def create_folder(folder: Path, files: Mapping[str, bytes], *, private: str) -> None:
    """Write a folder of files in one step; `private` names the one that only its owner may read.

    Raises:
        ConfigurationError: the folder exists already and holds something, or cannot be written.
    """
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir(mode=0o700)
        for name, content in files.items():
            _write_new(temporary / name, content, 0o600 if name == private else 0o644)
        fsync_directory(temporary)
        if folder.exists():
            folder.rmdir()  # refuses a folder that holds something
        temporary.rename(folder)
        fsync_directory(folder.parent)
    except OSError as error:
        if folder.exists():
            raise refused(
                f"{folder} exists already.",
                "keep using it, or move it away first; a key is never overwritten.",
            ) from error
        raise refused(
            f"{folder} cannot be written: {(error.strerror or str(error)).lower()}.", "choose another folder."
        ) from error
    finally:
        # After the rename there is nothing left under this name.
        shutil.rmtree(temporary, ignore_errors=True)


def _write_new(path: Path, content: bytes, mode: int) -> None:
    # The mode is given at creation: a later chmod would leave a moment in which others can read.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as PEM, without a passphrase: services start without anybody there."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The authority's private key.

    Raises:
        ConfigurationError: the file is missing, open to others, or no such key.
    """
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            content = stream.read(64 << 10)
    except OSError as error:
        raise refused(
            f"The authority's key {path} cannot be read: {(error.strerror or str(error)).lower()}.",
            "make an authority with `eucentric certs init`, or name its folder with --folder.",
        ) from error
    # Windows keeps access in lists of its own; the mode says nothing about them.
    if os.name != "nt" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise refused(
            f"The authority's key {path} is open to other users (mode {stat.S_IMODE(mode):04o}).",
            f"run `chmod 600 {path}`, and make a new authority if others may have read it.",
        )
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError) as error:
        raise refused(f"{path} is no private key in PEM form.", "restore it from a backup.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise refused(f"{path} is no elliptic-curve key.", "restore it from a backup.")
    return key
