"""Secrets under a passphrase: scrypt makes the key, AES-256-GCM locks and authenticates."""

from __future__ import annotations

import io
import os
import secrets
import tarfile
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from ._errors import ArchiveDamagedError, RestoreRefusedError

__all__ = ["seal", "unseal"]

_MAGIC = b"EUCENTRIC-SEALED-1\n"
_SALT_BYTES, _NONCE_BYTES = 16, 12
# 128 MiB and about half a second: what a guess costs, too.
_N, _R, _P = 1 << 17, 8, 1


def seal(files: Mapping[str, bytes], passphrase: str) -> bytes:
    """Lock files by their names."""
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o600
            tar.addfile(info, io.BytesIO(content))
    salt, nonce = os.urandom(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    head = _MAGIC + salt + nonce
    return head + AESGCM(_key(passphrase, salt)).encrypt(nonce, inner.getvalue(), head)


def unseal(content: bytes, passphrase: str) -> dict[str, bytes]:
    """The files again.

    Raises:
        RestoreRefusedError: the passphrase is another one.
        ArchiveDamagedError: this is no such thing.
    """
    begin = len(_MAGIC) + _SALT_BYTES + _NONCE_BYTES
    if not content.startswith(_MAGIC) or len(content) < begin:
        raise ArchiveDamagedError(
            "The sealed secrets are in no form that this version knows.",
            safe="nothing was restored.",
            next_step="use the version of eucentric that made the archive.",
        )
    head = content[:begin]
    salt, nonce = head[len(_MAGIC) : len(_MAGIC) + _SALT_BYTES], head[-_NONCE_BYTES:]
    try:
        inner = AESGCM(_key(passphrase, salt)).decrypt(nonce, content[begin:], head)
    except InvalidTag:
        raise RestoreRefusedError(
            "The passphrase does not open the secrets of this archive.",
            safe="nothing was restored.",
            next_step="give the file with the passphrase of the time of the backup.",
        ) from None
    files = {}
    with tarfile.open(fileobj=io.BytesIO(inner)) as tar:
        for info in tar:
            stream = tar.extractfile(info)
            if stream is not None:
                files[info.name] = stream.read()
    return files


def _key(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=_N, r=_R, p=_P).derive(passphrase.encode())
