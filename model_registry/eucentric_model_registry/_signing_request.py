"""What is to be signed, as a file that travels: to a person with another key, and back with a signature."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import CryptoSigner, Key
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Targets
from tuf.api.serialization.json import JSONSerializer

from eucentric_core import FrozenModel, write_atomic
from eucentric_core.releases import Release

from ._errors import RegistryError

__all__ = ["SignedRole", "SigningRequest", "SigningRequests", "merged"]

SignedRole = Literal["root", "targets"]

_MAX_BYTES = 4 << 20
_SERIALIZER = JSONSerializer(compact=False)


class SigningRequest(FrozenModel):
    """TUF metadata that want more signatures. Nothing in it is secret.

    Attributes:
        role: whose metadata.
        metadata: as TUF writes them, with the signatures so far.
        documents: content of every target by name, so that whoever signs reads what is released.
    """

    schema_version: Literal[1] = 1
    role: SignedRole
    metadata: Annotated[str, Field(max_length=1 << 20)]
    documents: Annotated[dict[str, Annotated[str, Field(max_length=1 << 16)]], Field(max_length=256)] = {}

    @classmethod
    def of(cls, metadata: Metadata[Any], documents: Mapping[str, str] | None = None) -> Self:
        """A request for more signatures under these metadata."""
        return cls(
            role=metadata.signed.type,
            metadata=metadata.to_bytes(_SERIALIZER).decode(),
            documents=dict(documents or {}),
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file from elsewhere; it is bounded and checked to be what it says.

        Raises:
            RegistryError: it is none.
        """
        try:
            with path.open("rb") as stream:
                content = stream.read(_MAX_BYTES + 1)
            if len(content) > _MAX_BYTES:
                raise ValueError(f"it is longer than {_MAX_BYTES} bytes")
            request = cls.model_validate_json(content)
            request.opened()
        except (OSError, ValueError, ValidationError) as error:
            raise _refuse(f"{path} is no request for a signature: {error}.") from error
        return request

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, self.model_dump_json(indent=1).encode())

    def opened(self) -> Metadata[Any]:
        """The metadata.

        Raises:
            RegistryError: they are none, or of another role.
        """
        try:
            found: Metadata[Any] = Metadata.from_bytes(self.metadata.encode())
        except RepositoryError as error:
            raise _refuse(f"The request holds no metadata: {error}.") from error
        if found.signed.type != self.role:
            raise _refuse(f"The request says {self.role} and holds {found.signed.type}.")
        return found

    def signed_by(self, signers: Sequence[CryptoSigner]) -> Self:
        """The same with these signatures added."""
        metadata = self.opened()
        for signer in signers:
            metadata.sign(signer, append=True)
        return self.model_copy(update={"metadata": metadata.to_bytes(_SERIALIZER).decode()})

    def releases(self) -> dict[str, Release]:
        """What the targets name, by target; every document is held to the hash that would be signed.

        Raises:
            RegistryError: a document is missing or is not the one that would be signed.
        """
        signed = self.opened().signed
        if not isinstance(signed, Targets):
            return {}
        found = {}
        for name, target in signed.targets.items():
            document = self.documents.get(name, "").encode()
            if hashlib.sha256(document).hexdigest() != target.hashes.get("sha256"):
                raise _refuse(f"What {name} says is not in the request, or is not what would be signed.")
            try:
                found[name] = Release.model_validate_json(document)
            except ValidationError as error:
                raise _refuse(f"{name} is not a release: {error}.") from error
        return found

    def described(self) -> tuple[str, ...]:
        """What a signature would say, line by line, from the signed content alone.

        Raises:
            RegistryError: as by `releases`.
        """
        signed = self.opened().signed
        lines = [f"{self.role}, version {signed.version}, valid until {signed.expires:%Y-%m-%d}"]
        if isinstance(signed, Root):
            for role in ("root", "targets", "snapshot", "timestamp"):
                wanted = signed.roles[role]
                lines.append(f"{role}: {wanted.threshold} of {', '.join(sorted(wanted.keyids))}")
        for name, release in sorted(self.releases().items()):
            before = "" if release.replaces is None else f" in place of version {release.replaces}"
            lines += [
                f"{name}: release {release.number}, {release.model} version {release.bundle_version}{before}",
                f"    manifest sha256 {release.envelope_sha256}",
                f"    {release.released_utc:%Y-%m-%d %H:%M} UTC, {release.who}: {release.reason}",
            ]
        return tuple(lines)


class SigningRequests:
    """The requests of a site that wait for signatures, one for each role.

    Args:
        folder: where they lie; made when the first one is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, role: SignedRole) -> Path:
        """Where the request of a role lies, if there is one."""
        return self._folder / f"{role}.request.json"

    def keep(self, request: SigningRequest) -> Path:
        """Have it wait, in place of another one of its role."""
        path = self.path(request.role)
        request.write(path)
        return path

    def waiting(self, role: SignedRole) -> SigningRequest | None:
        """The request of a role that waits; None if there is none.

        Raises:
            RegistryError: the file is damaged.
        """
        path = self.path(role)
        return SigningRequest.read(path) if path.exists() else None

    def forget(self, role: SignedRole) -> None:
        """It is in force, or was outrun."""
        self.path(role).unlink(missing_ok=True)


def merged(waiting: SigningRequest, answer: SigningRequest, roots: Sequence[Root]) -> SigningRequest:
    """The request that waits with the signatures of an answer.

    Args:
        waiting: what was sent.
        answer: what came back, from wherever.
        roots: say whose signatures count for this role: the root in force, and for a root the new one too.

    Raises:
        RegistryError: the answer is about other content, brings nothing new, or a signature of it is of a key
            that does not count or does not fit. Nothing was changed.
    """
    ours, theirs = waiting.opened(), answer.opened()
    if waiting.role != answer.role or ours.signed_bytes != theirs.signed_bytes:
        raise _refuse("The signature is for other content than the request that waits here.")
    known: dict[str, Key] = {
        keyid: root.keys[keyid] for root in roots for keyid in root.roles[waiting.role].keyids
    }
    added = {keyid: each for keyid, each in theirs.signatures.items() if keyid not in ours.signatures}
    if not added:
        raise _refuse("The file brings no signature that is not here already.")
    for keyid, signature in added.items():
        if keyid not in known:
            raise _refuse(f"Key {keyid} does not count for {waiting.role}.")
        try:
            known[keyid].verify_signature(signature, ours.signed_bytes)
        except UnverifiedSignatureError as error:
            raise _refuse(f"The signature of key {keyid} does not fit.") from error
    ours.signatures.update(added)
    return waiting.model_copy(update={"metadata": ours.to_bytes(_SERIALIZER).decode()})


def _refuse(what: str) -> RegistryError:
    return RegistryError(
        what,
        safe="nothing was signed and nothing was put in force.",
        next_step="have the request that waits here (see `eucentric keys show`) signed once more.",
    )
