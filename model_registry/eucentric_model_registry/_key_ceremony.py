"""Making the keys of a site, and replacing them: what a root says, who signs it, and what edges are told."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root
from tuf.api.serialization.json import JSONSerializer

from eucentric_core import ConfigurationError, TrustedKeys, fsync_directory, utc_now, write_atomic

from ._errors import SignaturesMissingError
from ._key_folder import KeyFolder, KeyRole
from ._keys import load_signer, new_key, trusted_keys_of, write_new
from ._metadata_store import Lifetimes, MetadataStore
from ._release_book import ReleaseBook, waits_for_signatures
from ._signing_request import SigningRequest, SigningRequests

__all__ = ["TUF_ROLES", "create_trust", "put_root_or_wait", "rotate_key", "waiting_root"]

TUF_ROLES: dict[KeyRole, tuple[str, ...]] = {
    "root": ("root",),
    "signing": ("targets",),
    "online": ("snapshot", "timestamp"),
}


def create_trust(
    keys: KeyFolder,
    releases: Path,
    *,
    root_folder: Path | None = None,
    root_keys: int = 1,
    root_threshold: int = 1,
    signing_keys: int = 1,
    signing_threshold: int = 1,
    passphrase: str | None = None,
    lifetimes: Lifetimes | None = None,
) -> TrustedKeys:
    """Make all keys of a site, its first root, and empty releases. A signing key that exists is taken.

    Args:
        keys: where they lie.
        releases: folder of the releases.
        root_folder: where the private root keys go, a memory stick for example; beside the others if None.
        root_keys: how many root keys.
        root_threshold: how many of them must sign a new root.
        signing_keys: how many keys of bundles and releases.
        signing_threshold: how many of them must sign a release.
        passphrase: locks every private key but the online one, which signs without a person.
        lifetimes: of what is signed.

    Raises:
        ConfigurationError: there is a root already, or the numbers make no sense. Nothing was changed.
    """
    if keys.root.exists():
        raise _refuse(
            f"{keys.root} exists already.",
            "keep using it, or move it away first; a key is never overwritten. "
            "`eucentric keys rotate` replaces a key.",
        )
    if not (1 <= root_threshold <= root_keys and 1 <= signing_threshold <= signing_keys):
        raise _refuse(
            f"{root_threshold} of {root_keys} root keys and {signing_threshold} of {signing_keys} signing "
            "keys cannot be asked for.",
            "ask for at least one signature, and for no more than there are keys.",
        )
    folder = root_folder or keys.folder
    root_files = [folder / f"root-key-{number}.pem" for number in range(1, root_keys + 1)]
    more = [keys.folder / f"signing-key-{number}.pem" for number in range(2, signing_keys + 1)]
    for path in (*root_files, *more, keys.online):
        if path.exists():
            raise _refuse(f"{path} exists already.", "move it away first; a key is never overwritten.")
    if keys.signing.exists():
        signing = [load_signer(keys.signing, passphrase=passphrase)]
    else:
        if keys.trusted.exists():
            raise _refuse(f"{keys.trusted} exists already.", "move it away first.")
        signing = [new_key(keys.signing, passphrase=passphrase)]
    signing += [new_key(path, passphrase=passphrase) for path in more]
    root_signers = [new_key(path, passphrase=passphrase) for path in root_files]
    online = new_key(keys.online)

    root = Root(consistent_snapshot=True)
    for signers, roles, threshold in (
        (root_signers, TUF_ROLES["root"], root_threshold),
        (signing, TUF_ROLES["signing"], signing_threshold),
        ([online], TUF_ROLES["online"], 1),
    ):
        for role in roles:
            for signer in signers:
                root.add_key(signer.public_key, role)
            root.roles[role].threshold = threshold
    store = MetadataStore(releases / "metadata", lifetimes)
    metadata = Metadata(root)
    store.write_root(metadata, root_signers)
    store.write_release(store.state(), signing=signing, online=[online], change=lambda _: None)
    if keys.trusted.exists():
        trusted = TrustedKeys.read(keys.trusted)
    else:
        # Bundles are signed by one key; the threshold of releases is the root's matter.
        trusted = _merged([trusted_keys_of(signer) for signer in signing])
        write_new(keys.trusted, trusted.model_dump_json(indent=2).encode(), mode=0o644)
    write_new(keys.root, metadata.to_bytes(JSONSerializer(compact=False)), mode=0o644)
    return trusted


def rotate_key(
    keys: KeyFolder,
    releases: Path,
    role: KeyRole,
    *,
    root_files: Sequence[Path] = (),
    compromised: bool = False,
    passphrase: str | None = None,
    lifetimes: Lifetimes | None = None,
) -> int:
    """Replace the first key of a role by a new one, in a new root; edges follow by themselves.

    The private key that was replaced is moved to `former/`. Of a signing key, the public half keeps counting
    for bundles that it signed, unless it was compromised.

    Args:
        keys: where they lie.
        releases: folder of the releases.
        role: whose key.
        root_files: private root keys that are not in the folder of keys.
        compromised: bundles that the old signing key signed no longer count unless they are released anew.
        passphrase: opens the keys that are locked and locks the new one.
        lifetimes: of what is signed.

    Returns:
        The version of the new root.

    Raises:
        ConfigurationError: a key file is missing or cannot be used.
        SignaturesMissingError: too few root keys are at hand: the new root waits for signatures from other
            machines, and a repeated call goes on once they are there. Nothing was changed.
    """
    store = MetadataStore(releases / "metadata", lifetimes)
    metadata = store.root()
    root_paths = [*keys.root_keys, *root_files]
    root_signers = [load_signer(path, passphrase=passphrase) for path in root_paths]
    replaced = _first(role, keys, root_paths)
    old = load_signer(replaced, passphrase=passphrase)
    # Until the new root is written its key lies aside; one that a root names already is what an
    # interrupted rotation left, and is put in its place instead of being replaced once more.
    aside = replaced.with_name(f".{replaced.name}.new")
    fresh = load_signer(aside, passphrase=passphrase) if aside.exists() else None
    if fresh is None or not _is_named(metadata.signed, role, fresh):
        requests, waiting = SigningRequests(keys.waiting), waiting_root(keys, store)
        if fresh is not None and waiting is not None and _is_named(waiting.opened().signed, role, fresh):
            asked = waiting.signed_by(root_signers)
        else:
            aside.unlink(missing_ok=True)
            fresh = new_key(aside, passphrase=None if role == "online" else passphrase)
            _exchange(metadata.signed, role, old, fresh)
            store.draft_root(metadata, [*root_signers, fresh] if role == "root" else root_signers)
            asked = SigningRequest.of(metadata)
        metadata = asked.opened()
        put_root_or_wait(store, requests, asked)
    _replace_file(replaced, aside)
    if role == "signing":
        _retrust(keys.trusted, old, fresh, compromised=compromised)
    write_atomic(keys.root, metadata.to_bytes(JSONSerializer(compact=False)))
    if role != "root":
        book = ReleaseBook(releases, keys, passphrase=passphrase, lifetimes=lifetimes)
        book.sign_anew()
    return int(metadata.signed.version)


def waiting_root(keys: KeyFolder, store: MetadataStore) -> SigningRequest | None:
    """The root that waits for signatures; None if there is none, or another one was put in force since."""
    waiting = SigningRequests(keys.waiting).waiting("root")
    if waiting is None or waiting.opened().signed.version != store.root().signed.version + 1:
        return None
    return waiting


def put_root_or_wait(store: MetadataStore, requests: SigningRequests, asked: SigningRequest) -> None:
    """Put a root in force, or have it wait for signatures from other machines.

    Raises:
        SignaturesMissingError: it waits; the error names the file.
    """
    try:
        store.put_root(asked.opened())
    except SignaturesMissingError as error:
        raise waits_for_signatures(error.what, requests.keep(asked)) from error
    requests.forget("root")


def _first(role: KeyRole, keys: KeyFolder, root_paths: Sequence[Path]) -> Path:
    files = tuple(root_paths) if role == "root" else keys.files_of(role)
    if not files:
        raise _refuse(
            f"No private {role} key lies in {keys.folder}.",
            "name it with --root-key FILE." if role == "root" else "run this where the key lies.",
        )
    return files[0]


def _is_named(root: Root, role: KeyRole, signer: CryptoSigner) -> bool:
    return all(signer.public_key.keyid in root.roles[tuf_role].keyids for tuf_role in TUF_ROLES[role])


def _exchange(root: Root, role: KeyRole, old: CryptoSigner, fresh: CryptoSigner) -> None:
    for tuf_role in TUF_ROLES[role]:
        if old.public_key.keyid in root.roles[tuf_role].keyids:
            root.revoke_key(old.public_key.keyid, tuf_role)
        root.add_key(fresh.public_key, tuf_role)


def _replace_file(replaced: Path, fresh: Path) -> None:
    former = replaced.parent / "former"
    former.mkdir(mode=0o700, exist_ok=True)
    shutil.copy2(replaced, former / f"{utc_now():%Y%m%dT%H%M%S%f}-{replaced.name}")
    fresh.replace(replaced)
    fsync_directory(replaced.parent)


def _retrust(path: Path, old: CryptoSigner, fresh: CryptoSigner, *, compromised: bool) -> None:
    trusted = TrustedKeys.read(path)
    known = {
        keyid: key
        for keyid, key in trusted.keys.items()
        if not (compromised and keyid == old.public_key.keyid)
    }
    known[fresh.public_key.keyid] = fresh.public_key.to_dict()
    write_atomic(
        path, TrustedKeys(threshold=trusted.threshold, keys=known).model_dump_json(indent=2).encode()
    )


def _merged(parts: Sequence[TrustedKeys]) -> TrustedKeys:
    return TrustedKeys(keys={keyid: key for part in parts for keyid, key in part.keys.items()})


def _refuse(what: str, next_step: str) -> ConfigurationError:
    return ConfigurationError(what, safe="no key was changed and nothing was signed.", next_step=next_step)
