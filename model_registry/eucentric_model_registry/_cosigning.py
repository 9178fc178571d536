"""Signatures from other machines: other people's public keys, and what comes back from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from securesystemslib.signer import Key
from tuf.api.metadata import Metadata
from tuf.api.serialization.json import JSONSerializer

from eucentric_core import ConfigurationError, FrozenModel, TrustedKeys, write_atomic
from eucentric_core.releases import Release

from ._errors import RegistryError, SignaturesMissingError
from ._key_ceremony import TUF_ROLES, put_root_or_wait, waiting_root
from ._key_folder import KeyFolder, KeyRole
from ._keys import load_signer, new_key, trusted_keys_of, write_new
from ._metadata_store import MetadataStore
from ._release_book import ReleaseBook
from ._signing_request import SigningRequest, SigningRequests, merged

__all__ = ["Taken", "add_key", "make_personal_key", "take_signature"]


class Taken(FrozenModel):
    """What became of a signature from another machine.

    Attributes:
        role: what it signs.
        in_force: whether there were enough with it.
        releases: what is newly released by it.
        request: file that waits for the next signature, None if none does.
        to_do: what a person does next, in words; empty if nothing.
    """

    role: str
    in_force: bool
    releases: tuple[Release, ...] = ()
    request: Path | None = None
    to_do: str = ""


def make_personal_key(private_key: Path, *, passphrase: str | None = None) -> Path:
    """Make a key pair for a person who signs on their own machine.

    Returns:
        The public half, `NAME.pub.json` beside it, which is sent to the hub.

    Raises:
        ConfigurationError: one of the two files exists already.
    """
    public = private_key.with_suffix(".pub.json")
    if public.exists():
        raise _refuse(f"{public} exists already.", "choose another name; a key is never overwritten.")
    trusted = trusted_keys_of(new_key(private_key, passphrase=passphrase))
    write_new(public, trusted.model_dump_json(indent=2).encode(), mode=0o644)
    return public


def add_key(
    keys: KeyFolder,
    releases: Path,
    role: KeyRole,
    public_key: Path,
    *,
    threshold: int,
    root_files: Sequence[Path] = (),
    passphrase: str | None = None,
) -> int:
    """Have another person's key count for a role, in a new root; their private key never comes here.

    Args:
        keys: where this site's keys lie.
        releases: folder of the releases.
        role: `root` or `signing`.
        public_key: what `make_personal_key` made on the other machine.
        threshold: how many of the role's keys must sign from now on.
        root_files: private root keys that are not in the folder of keys.
        passphrase: opens the keys that are locked.

    Returns:
        The version of the new root.

    Raises:
        ConfigurationError: the key cannot be used, or the threshold cannot be met.
        SignaturesMissingError: a new root, or the releases under it, wait for signatures.
    """
    if role == "online":
        raise _refuse("The online key signs without a person.", "add a key to root or signing.")
    store = MetadataStore(releases / "metadata")
    metadata, key = store.root(), _public(public_key)
    for tuf_role in TUF_ROLES[role]:
        metadata.signed.add_key(key, tuf_role)
        wanted = metadata.signed.roles[tuf_role]
        if not 1 <= threshold <= len(wanted.keyids):
            raise _refuse(
                f"{threshold} of {len(wanted.keyids)} keys cannot be asked for.",
                "ask for at least one signature, and for no more than there are keys.",
            )
        wanted.threshold = threshold
    root_paths = [*keys.root_keys, *root_files]
    store.draft_root(metadata, [load_signer(path, passphrase=passphrase) for path in root_paths])
    put_root_or_wait(store, SigningRequests(keys.waiting), SigningRequest.of(metadata))
    _after_root(keys, releases, store, passphrase)
    return int(metadata.signed.version)


def take_signature(
    keys: KeyFolder, releases: Path, answer: SigningRequest, *, passphrase: str | None = None
) -> Taken:
    """Add the signatures of an answer to what waits here, and put it in force once they suffice.

    Raises:
        RegistryError: nothing waits, or the answer does not fit; nothing was changed.
    """
    requests = SigningRequests(keys.waiting)
    if answer.role == "targets":
        released = ReleaseBook(releases, keys, passphrase=passphrase).take_signature(answer)
        if released is None:
            return Taken(role="targets", in_force=False, request=requests.path("targets"))
        return Taken(role="targets", in_force=True, releases=released)
    store = MetadataStore(releases / "metadata")
    waiting = waiting_root(keys, store)
    if waiting is None:
        raise RegistryError(
            "No root waits for a signature here.",
            safe="nothing was changed.",
            next_step="see `eucentric keys show`: it may be in force already.",
        )
    request = merged(waiting, answer, [store.root().signed, waiting.opened().signed])
    try:
        put_root_or_wait(store, requests, request)
    except SignaturesMissingError:
        return Taken(role="root", in_force=False, request=requests.path("root"))
    if unfinished := sorted(keys.folder.glob(".*.new")):
        role = unfinished[0].name.lstrip(".").partition("-")[0]
        again = f"repeat `eucentric keys rotate {role}`: it puts the new key in its place."
        return Taken(role="root", in_force=True, to_do=again)
    try:
        _after_root(keys, releases, store, passphrase)
    except SignaturesMissingError as error:
        path = requests.path("targets")
        return Taken(role="root", in_force=True, request=path, to_do=error.next_step)
    return Taken(role="root", in_force=True)


def _after_root(keys: KeyFolder, releases: Path, store: MetadataStore, passphrase: str | None) -> None:
    root = store.root()
    write_atomic(keys.root, root.to_bytes(JSONSerializer(compact=False)))
    if not _still_holds(store):
        ReleaseBook(releases, keys, passphrase=passphrase).sign_anew()


def _still_holds(store: MetadataStore) -> bool:
    state = store.state()
    parts: tuple[tuple[str, Metadata], ...] = (  # type: ignore[type-arg]
        ("targets", state.targets),
        ("snapshot", state.snapshot),
        ("timestamp", state.timestamp),
    )
    return all(
        state.root.signed.get_verification_result(role, part.signed_bytes, part.signatures)
        for role, part in parts
    )


def _public(path: Path) -> Key:
    trusted = TrustedKeys.read(path)
    if len(trusted.keys) != 1:
        raise _refuse(f"{path} holds {len(trusted.keys)} keys.", "name the file of one person's public key.")
    ((keyid, described),) = trusted.keys.items()
    return Key.from_dict(keyid, dict(described))


def _refuse(what: str, next_step: str) -> ConfigurationError:
    return ConfigurationError(what, safe="no key was changed and nothing was signed.", next_step=next_step)
