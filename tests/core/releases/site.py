"""A site that publishes releases, in memory, with knobs for everything a thief or a broken copy can do.

It is written on python-tuf's metadata API alone: what verifies is not tested with what signs here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Signed, Snapshot, TargetFile, Targets, Timestamp

from eucentric_core import DataFormatError, TransferFailedError
from eucentric_core.releases import Release, release_target

__all__ = ["MODEL", "Site", "key"]

MODEL = "atoms"
ROLES = ("root", "timestamp", "snapshot", "targets")


@cache
def key(name: str) -> CryptoSigner:
    """A key by any name, the same in every test."""
    return CryptoSigner.generate_ed25519()


def in_days(days: float) -> datetime:
    """A moment relative to now, without microseconds."""
    return (datetime.now(UTC) + timedelta(days=days)).replace(microsecond=0)


class Site:
    """Keys, metadata and files of a site; a `ReleaseSource` itself.

    Attributes:
        keys: names of the keys that sign for a role now.
        days: how long what is signed for a role is valid.
        files: what is published, by name.
        kept: what was published earlier, for whoever shows it again.
        gone: nothing answers.
    """

    def __init__(self, **thresholds: int) -> None:
        self.keys: dict[str, list[str]] = {
            role: [f"{role}-{number}" for number in range(1, thresholds.get(role, 1) + 1)] for role in ROLES
        }
        self.days = {"root": 700.0, "timestamp": 14.0, "snapshot": 60.0, "targets": 300.0}
        self.files: dict[str, bytes] = {}
        self.kept: dict[str, bytes] = {}
        self.gone = False
        self.number = 0
        self.root = Metadata(Root(consistent_snapshot=True, expires=in_days(self.days["root"])))
        for role, names in self.keys.items():
            for name in names:
                self.root.signed.add_key(key(name).public_key, role)
            self.root.signed.roles[role].threshold = thresholds.get(role, 1)
        self.targets = Metadata(Targets())
        self.snapshot = Metadata(Snapshot())
        self.timestamp = Metadata(Timestamp())
        for part in (self.targets, self.snapshot, self.timestamp):
            part.signed.version = 0
        self.put_root()
        self.release()

    # What an honest hub does.

    def put_root(self, *, by: Sequence[str] = ()) -> None:
        """Sign the root with its keys, and others, and publish it."""
        self.root.signed.expires = in_days(self.days["root"])
        self.sign("root", self.root, by=(*self.keys["root"], *by))
        self.put("root", self.root)

    def rotate(self, role: str, *names: str, by: Sequence[str] | None = None, threshold: int = 1) -> None:
        """Give a role new keys in a new root, signed by the old and the new root keys."""
        old = list(self.keys["root"])
        for name in self.keys[role]:
            self.root.signed.revoke_key(key(name).public_key.keyid, role)
        for name in names:
            self.root.signed.add_key(key(name).public_key, role)
        self.root.signed.roles[role].threshold = threshold
        self.keys[role] = list(names)
        self.root.signed.version += 1
        if by is None:
            self.put_root(by=old)
            return
        self.sign("root", self.root, by=by)
        self.put("root", self.root)

    def release(self, **changes: Any) -> Release:
        """Publish the next release of the model and everything above it."""
        self.number += 1
        release = Release(
            **{
                "model": MODEL,
                "number": self.number,
                "root_version": self.root.signed.version,
                "bundle_version": self.number,
                "envelope_sha256": f"{self.number:064x}",
                "envelope_length_bytes": 1000,
                "reason": "better",
                "who": "policy drift",
                "released_utc": datetime.now(UTC),
                **changes,
            }
        )
        self.put_target(release.model_dump_json().encode())
        self.publish()
        return release

    def put_target(self, content: bytes, model: str = MODEL) -> str:
        """A target with any content; returns the name of its file."""
        target = TargetFile.from_data(release_target(model), content, ["sha256"])
        self.targets.signed.targets[release_target(model)] = target
        name = f"targets/{target.hashes['sha256']}.{release_target(model)}"
        self.files[name] = content
        return name

    def publish(self, *, only: Sequence[str] = ("targets", "snapshot", "timestamp")) -> None:
        """Sign the roles anew, from the targets up."""
        if "targets" in only:
            self.put("targets", self.sign("targets", self.next("targets", self.targets)))
        if "snapshot" in only:
            self.snapshot.signed.meta["targets.json"] = self.pinned("targets", self.targets)
            self.put("snapshot", self.sign("snapshot", self.next("snapshot", self.snapshot)))
        if "timestamp" in only:
            self.timestamp.signed.snapshot_meta = self.pinned("snapshot", self.snapshot)
            self.put("timestamp", self.sign("timestamp", self.next("timestamp", self.timestamp)))

    def next(self, role: str, metadata: Metadata[Any]) -> Metadata[Any]:
        """The same with the next version and a new date."""
        metadata.signed.version += 1
        metadata.signed.expires = in_days(self.days[role])
        return metadata

    def pinned(self, role: str, metadata: Metadata[Any]) -> MetaFile:
        """What the role above says of a file."""
        return MetaFile.from_data(metadata.signed.version, metadata.to_bytes(), ["sha256"])

    def sign(self, role: str, metadata: Metadata[Any], *, by: Sequence[str] | None = None) -> Metadata[Any]:
        """Sign with the role's keys, or with others."""
        metadata.signatures.clear()
        for name in self.keys[role] if by is None else by:
            metadata.sign(key(name), append=True)
        return metadata

    def put(self, role: str, metadata: Metadata[Any]) -> None:
        """Publish a role's file as it is."""
        self.files[self.name(role, metadata.signed)] = metadata.to_bytes()

    def name(self, role: str, signed: Signed | None = None) -> str:
        """The file of a role, by default the newest."""
        if role == "timestamp":
            return "metadata/timestamp.json"
        version = (signed or self.metadata(role).signed).version
        return f"metadata/{version}.{role}.json"

    def metadata(self, role: str) -> Metadata[Any]:
        """A role's newest metadata."""
        found: Metadata[Any] = getattr(self, role)
        return found

    @property
    def release_file(self) -> str:
        """The file of the newest release."""
        target = self.targets.signed.targets[release_target(MODEL)]
        return f"targets/{target.hashes['sha256']}.{release_target(MODEL)}"

    # What others do to what is published.

    def rewrite(self, role: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Change a role's file as JSON, without any key."""
        document = json.loads(self.files[self.name(role)])
        change(document)
        self.files[self.name(role)] = json.dumps(document).encode()

    def resign(self, role: str, *by: str) -> None:
        """Sign a role's newest metadata with other keys, and pin the result above with the right ones."""
        self.put(role, self.sign(role, self.metadata(role), by=by))
        above = {"targets": ("snapshot", "timestamp"), "snapshot": ("timestamp",)}.get(role, ())
        self.publish(only=above)

    # How machines read it.

    def read_many(self, names: Sequence[str], *, max_bytes: int) -> Mapping[str, bytes | None]:
        """See `ReleaseSource`."""
        if self.gone:
            raise TransferFailedError("The share is gone.", safe="all of it.", next_step="mount it.")
        found = {name: self.files.get(name) for name in names}
        for name, content in found.items():
            if content is not None and len(content) > max_bytes:
                raise DataFormatError(f"{name} is too long.", safe="all of it.", next_step="look.")
        return found

    def get(self, name: str, target: Path, *, sha256: str | None = None) -> None:
        """See `ReleaseSource`."""
        target.write_bytes(self.files[name])
