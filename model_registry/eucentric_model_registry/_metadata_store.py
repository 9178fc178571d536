"""The metadata of the releases as files, written so that readers see one state or the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError, StorageError, UnsignedMetadataError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

from eucentric_core import utc_now, write_atomic

from ._errors import RegistryError, SignaturesMissingError

__all__ = ["Lifetimes", "MetadataStore", "ReleaseState"]

_T = TypeVar("_T", Root, Timestamp, Snapshot, Targets)
_SERIALIZER = JSONSerializer(compact=False)
_KEPT_VERSIONS = 8
"""Superseded snapshots and targets that stay for readers who are on their way through the metadata."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long each role's metadata are valid after they were signed.

    `timestamp` is how long releases can be held back from an edge without it noticing, and how long an edge
    may be offline before it refuses to install; `targets` how long a site may do without a new release.
    """

    root: timedelta = timedelta(days=730)
    targets: timedelta = timedelta(days=365)
    snapshot: timedelta = timedelta(days=60)
    timestamp: timedelta = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class ReleaseState:
    """The metadata in force. The three below the root are None before the first release."""

    root: Metadata[Root]
    targets: Metadata[Targets]
    snapshot: Metadata[Snapshot]
    timestamp: Metadata[Timestamp]


class MetadataStore:
    """Files below `<releases>/metadata`.

    Args:
        folder: `<releases>/metadata`; made if need be.
        lifetimes: of what is signed.
    """

    def __init__(self, folder: Path, lifetimes: Lifetimes | None = None) -> None:
        self.folder = folder
        self.lifetimes = lifetimes or Lifetimes()
        folder.mkdir(parents=True, exist_ok=True)

    def root(self) -> Metadata[Root]:
        """The newest root.

        Raises:
            RegistryError: there is none, or it is damaged.
        """
        versions = [int(path.name.partition(".")[0]) for path in self.folder.glob("*.root.json")]
        if not versions:
            raise RegistryError(
                f"{self.folder} holds no root metadata.",
                safe="nothing was signed.",
                next_step="make keys with `eucentric keys init`.",
            )
        return self._read(Root, f"{max(versions)}.root.json")

    def state(self) -> ReleaseState:
        """What is in force; empty metadata of version 0 where nothing was released yet.

        Raises:
            RegistryError: a file is missing or damaged.
        """
        root, now = self.root(), utc_now()
        if not (self.folder / "timestamp.json").exists():
            targets, snapshot, timestamp = Targets(expires=now), Snapshot(expires=now), Timestamp(expires=now)
            targets.version = snapshot.version = timestamp.version = 0
            return ReleaseState(root, Metadata(targets), Metadata(snapshot), Metadata(timestamp))
        timestamp_file = self._read(Timestamp, "timestamp.json")
        version = timestamp_file.signed.snapshot_meta.version
        snapshot_file = self._read(Snapshot, f"{version}.snapshot.json")
        version = snapshot_file.signed.meta["targets.json"].version
        return ReleaseState(
            root, self._read(Targets, f"{version}.targets.json"), snapshot_file, timestamp_file
        )

    def draft_root(self, root: Metadata[Root], signers: Sequence[CryptoSigner]) -> None:
        """Give a root that was changed the next version and a new date, and sign it; nothing is written."""
        previous = self._previous_root()
        root.signed.version = 1 if previous is None else previous.signed.version + 1
        root.signed.expires = self._until(self.lifetimes.root)
        _sign(root, signers)

    def put_root(self, root: Metadata[Root]) -> None:
        """Write a signed root.

        Raises:
            SignaturesMissingError: too few of its keys, or of its predecessor's, signed it.
            RegistryError: another root was written since it was drafted.
        """
        previous = self._previous_root()
        if root.signed.version != (1 if previous is None else previous.signed.version + 1):
            raise _outrun("root", root.signed.version)
        for trusted in (previous, root):
            if trusted is not None:
                _require_signed(trusted.signed, "root", root)
        self._write(f"{root.signed.version}.root.json", root)

    def write_root(self, root: Metadata[Root], signers: Sequence[CryptoSigner]) -> None:
        """Sign a root that was changed, with a version above the one before, and write it.

        Raises:
            SignaturesMissingError: too few of its keys, or of its predecessor's, sign it.
        """
        self.draft_root(root, signers)
        self.put_root(root)

    def draft_targets(
        self, state: ReleaseState, signing: Sequence[CryptoSigner], change: Callable[[Targets], None]
    ) -> Metadata[Targets]:
        """The next targets, signed with the keys at hand, few as they may be; nothing is written."""
        targets = deepcopy(state.targets)
        change(targets.signed)
        targets.signed.version += 1
        targets.signed.expires = self._until(self.lifetimes.targets)
        _sign(targets, signing)
        return targets

    def put_targets(
        self, state: ReleaseState, targets: Metadata[Targets], *, online: Sequence[CryptoSigner]
    ) -> ReleaseState:
        """Put signed targets in force.

        Raises:
            SignaturesMissingError: too few of a role's keys signed; nothing was written.
            RegistryError: something else was put in force since they were drafted.
        """
        if targets.signed.version != state.targets.signed.version + 1:
            raise _outrun("targets", targets.signed.version)
        return self._put(ReleaseState(state.root, targets, state.snapshot, state.timestamp), True, online)

    def write_release(
        self,
        state: ReleaseState,
        *,
        signing: Sequence[CryptoSigner],
        online: Sequence[CryptoSigner],
        change: Callable[[Targets], None] | None = None,
    ) -> ReleaseState:
        """Sign new metadata and put them in force.

        Args:
            state: what is in force.
            signing: keys of releases; needed where `change` is given or the old targets no longer count.
            online: keys of snapshot and timestamp.
            change: alters the targets; None to say again, with a new date, what was said.

        Raises:
            RegistryError: too few of a role's keys are at hand; nothing was written.
        """
        if change is not None:
            return self.put_targets(state, self.draft_targets(state, signing, change), online=online)
        return self._put(state, False, online)

    def _put(self, state: ReleaseState, changed: bool, online: Sequence[CryptoSigner]) -> ReleaseState:
        root, targets, snapshot, timestamp = state.root, state.targets, state.snapshot, state.timestamp
        _require_signed(root.signed, "targets", targets)
        written: list[tuple[str, Metadata[Any]]] = []
        if changed:
            written.append((f"{targets.signed.version}.targets.json", targets))
        snapshot.signed.meta["targets.json"] = _pinned(targets)
        snapshot.signed.version += 1
        snapshot.signed.expires = self._until(self.lifetimes.snapshot)
        _sign(snapshot, online)
        _require_signed(root.signed, "snapshot", snapshot)
        timestamp.signed.snapshot_meta = _pinned(snapshot)
        timestamp.signed.version += 1
        timestamp.signed.expires = self._until(self.lifetimes.timestamp)
        _sign(timestamp, online)
        _require_signed(root.signed, "timestamp", timestamp)
        written += [(f"{snapshot.signed.version}.snapshot.json", snapshot), ("timestamp.json", timestamp)]
        # The timestamp comes last: until it is there, readers see the state before, whole.
        for name, metadata in written:
            self._write(name, metadata)
        self._forget_old()
        return state

    def _previous_root(self) -> Metadata[Root] | None:
        return self.root() if any(self.folder.glob("*.root.json")) else None

    def _until(self, lifetime: timedelta) -> datetime:
        return (utc_now() + lifetime).replace(microsecond=0)

    def _write(self, name: str, metadata: Metadata[Any]) -> None:
        write_atomic(self.folder / name, metadata.to_bytes(_SERIALIZER))

    def _read(self, kind: type[_T], name: str) -> Metadata[_T]:
        try:
            found: Metadata[_T] = Metadata.from_file(str(self.folder / name))
            if not isinstance(found.signed, kind):
                raise RepositoryError(f"it holds {found.signed.type} metadata")
        except (StorageError, RepositoryError) as error:
            raise RegistryError(
                f"{self.folder / name} cannot be read: {error}.",
                safe="nothing was signed; edges keep what they have.",
                next_step="restore the folder of releases from its copy (docs/registry.md, 'Restore').",
            ) from error
        return found

    def _forget_old(self) -> None:
        for role in ("snapshot", "targets"):
            files = sorted(
                self.folder.glob(f"*.{role}.json"), key=lambda path: int(path.name.partition(".")[0])
            )
            for path in files[:-_KEPT_VERSIONS]:
                path.unlink(missing_ok=True)


def _pinned(metadata: Metadata[_T]) -> MetaFile:
    # Hash and length beside the version: of two files with one number only one is meant.
    return MetaFile.from_data(metadata.signed.version, metadata.to_bytes(_SERIALIZER), ["sha256"])


def _sign(metadata: Metadata[_T], signers: Sequence[CryptoSigner]) -> None:
    metadata.signatures.clear()
    for signer in signers:
        metadata.sign(signer, append=True)


def _require_signed(root: Root, role: str, metadata: Metadata[_T]) -> None:
    try:
        root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except UnsignedMetadataError as error:
        wanted = root.roles[role]
        found = len(set(wanted.keyids) & set(metadata.signatures))
        raise SignaturesMissingError(
            f"Version {root.version} of the root wants {wanted.threshold} signature(s) for {role}, "
            f"{found} of its keys are at hand.",
            safe="nothing was written; what is released stays so.",
            next_step="name the missing key files, or see `eucentric keys show` for who holds them.",
            role=role,
        ) from error


def _outrun(role: str, version: int) -> RegistryError:
    return RegistryError(
        f"Other metadata were put in force since version {version} of {role} was made for signing.",
        safe="what is released stays so.",
        next_step="repeat the command that asked for signatures; it writes a new request.",
    )
