"""Where the keys of a site lie, and which role each has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from securesystemslib.signer import CryptoSigner

from eucentric_core import Settings

from ._keys import load_signer

__all__ = ["KeyFolder", "KeyRole"]

KeyRole = Literal["root", "signing", "online"]
"""`root` says whose signatures count and is kept offline; `signing` signs bundles and releases (TUF's
targets); `online` says every few days that nothing newer exists (TUF's snapshot and timestamp)."""


@dataclass(frozen=True, slots=True)
class KeyFolder:
    """Key files of a site.

    Attributes:
        signing: private key of bundles and releases; more of them lie beside it as `signing-key-N.pem`.
        trusted: public keys whose signatures on bundles count, for machines without release metadata.
        root: newest root metadata; what an edge is given by hand once.
    """

    signing: Path
    trusted: Path
    root: Path

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Those that the settings name."""
        return cls(settings.signing_key_path, settings.trusted_keys_path, settings.trust_root_path)

    @property
    def folder(self) -> Path:
        """The folder itself."""
        return self.signing.parent

    @property
    def online(self) -> Path:
        """Private key of snapshot and timestamp."""
        return self.folder / "online-key.pem"

    @property
    def waiting(self) -> Path:
        """Folder of what waits for signatures from other machines; nothing in it is secret."""
        return self.folder / "waiting"

    @property
    def root_keys(self) -> tuple[Path, ...]:
        """Private keys of the root that lie here; none where they are kept offline, as they should be."""
        return tuple(sorted(self.folder.glob("root-key-*.pem")))

    @property
    def signing_keys(self) -> tuple[Path, ...]:
        """Private keys of bundles and releases that lie here."""
        more = self.folder.glob("signing-key-*.pem")
        return tuple(path for path in (self.signing, *sorted(more)) if path.exists())

    def files_of(self, role: KeyRole) -> tuple[Path, ...]:
        """The private keys of a role that lie here."""
        if role == "root":
            return self.root_keys
        if role == "signing":
            return self.signing_keys
        return tuple(path for path in (self.online,) if path.exists())

    def signers(
        self, role: KeyRole, *, also: Sequence[Path] = (), passphrase: str | None = None
    ) -> tuple[CryptoSigner, ...]:
        """What signs for a role on this machine.

        Args:
            role: whose.
            also: key files from elsewhere, a memory stick for example.
            passphrase: opens those that are locked.

        Raises:
            ConfigurationError: a key file cannot be used.
        """
        return tuple(load_signer(path, passphrase=passphrase) for path in (*self.files_of(role), *also))
