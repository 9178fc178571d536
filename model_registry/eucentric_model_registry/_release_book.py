"""The releases of a site: a folder that hub and edges share, or that is copied to where edges read it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import ValidationError

from eucentric_core import (
    BUNDLE_ENVELOPE,
    BundleManifest,
    FrozenModel,
    Settings,
    fsync_directory,
    sha256_file,
    utc_now,
    write_atomic,
)
from eucentric_core.releases import Release, bundle_folder, challenger_target, release_target

from ._errors import RegistryError, SignaturesMissingError
from ._key_folder import KeyFolder, KeyRole

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner
    from tuf.api.metadata import Metadata, Targets

    from ._metadata_store import Lifetimes, MetadataStore, ReleaseState
    from ._signing_request import SigningRequest, SigningRequests

__all__ = ["ReleaseBook", "Renewal"]

_KEPT_BUNDLES = 4
_LOCK_TIMEOUT_S = 60.0


class Renewal(FrozenModel):
    """What `ReleaseBook.refresh` did and what a person has to do.

    Attributes:
        renewed: roles that were signed anew.
        fresh_until_utc: from then on edges refuse to install, unless it is renewed before.
        warnings: what needs a person, with dates.
    """

    renewed: tuple[str, ...]
    fresh_until_utc: datetime
    warnings: tuple[str, ...]


class ReleaseBook:
    """Publishes releases. One writer at a time, on one machine; readers need nothing but the files.

    Args:
        folder: holds `metadata/`, `targets/` and `bundles/`; nothing secret.
        keys: of the site.
        lifetimes: of what is signed.
        also: more signing keys, from a memory stick for example, where one machine's do not suffice.
        passphrase: opens keys that are locked.
    """

    def __init__(
        self,
        folder: Path,
        keys: KeyFolder,
        *,
        lifetimes: Lifetimes | None = None,
        also: Sequence[Path] = (),
        passphrase: str | None = None,
    ) -> None:
        self.folder = folder
        self.keys = keys
        self._lifetimes = lifetimes
        self._also = tuple(also)
        self._passphrase = passphrase

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """The book of a site; None where a site has no root yet and edges trust keys alone."""
        if not any((settings.releases_path / "metadata").glob("*.root.json")):
            return None
        return cls(settings.releases_path, KeyFolder.of(settings))

    def current(self, model: str) -> Release | None:
        """The newest release of a model, as this folder says; None if there is none.

        Raises:
            RegistryError: the folder is damaged.
        """
        return self._current(self._store().state(), release_target(model))

    def releases(self) -> dict[str, Release]:
        """What is released now, by target: of each model the one to serve, and the challenger to be tried."""
        state = self._store().state()
        found = {target: self._current(state, target) for target in state.targets.signed.targets}
        return {target: release for target, release in found.items() if release is not None}

    def publish(
        self, bundle: Path, manifest: BundleManifest, *, reason: str, who: str, challenger: bool = False
    ) -> Release:
        """Release a verified bundle: its files and the signed statement. A repeat changes nothing.

        Args:
            bundle: folder of the bundle, verified by the caller.
            manifest: what verification returned.
            reason: why, for people.
            who: whose decision it is.
            challenger: release it to be tried and measured by edges, not to be served.

        Raises:
            ConfigurationError: a key cannot be used.
            SignaturesMissingError: too few keys are at hand: a request waits (`eucentric keys sign`). Nothing
                was released.
            RegistryError: the folder is damaged. Nothing was released.
        """
        envelope = (bundle / BUNDLE_ENVELOPE).read_bytes()
        digest = hashlib.sha256(envelope).hexdigest()
        with self._writing() as store:
            state = store.state()
            target = challenger_target(manifest.name) if challenger else release_target(manifest.name)
            before = self._current(state, target)
            if before is not None and before.envelope_sha256 == digest:
                return before
            self._require_no_request_for(state, target, digest)
            release = Release(
                model=manifest.name,
                number=1 if before is None else before.number + 1,
                root_version=state.root.signed.version,
                bundle_version=manifest.version,
                envelope_sha256=digest,
                envelope_length_bytes=len(envelope),
                replaces=None if before is None else before.bundle_version,
                reason=reason[:4000],
                who=who[:200],
                released_utc=utc_now(),
            )
            self._lay_out(bundle, manifest)
            self._put_in_force(store, state, release, target)
            self._forget_old_bundles(release)
        return release

    def refresh(self) -> Renewal:
        """Sign anew what runs out, as far as the keys at hand go. To be called every day, by a timer.

        Raises:
            ConfigurationError: a key cannot be used.
            RegistryError: the folder is damaged.
        """
        now = utc_now()
        with self._writing() as store:
            state, life = store.state(), store.lifetimes
            warnings = []
            root_left = state.root.signed.expires - now
            if root_left < life.root / 8:
                warnings.append(
                    f"The root expires {state.root.signed.expires:%Y-%m-%d}: bring the root keys and run "
                    "`eucentric keys rotate root`."
                )
            nothing_yet = state.targets.signed.version == 0
            renewed: list[str] = []
            if nothing_yet or state.targets.signed.expires - now < life.targets / 4:
                try:
                    # What waits already is not replaced: somebody may be signing it.
                    self._require_no_waiting(state)
                    self._sign_targets(store, state, lambda _: None)
                except SignaturesMissingError as error:
                    warnings.append(f"The releases expire soon: {error.what} {error.next_step}")
                else:
                    renewed = ["targets", "snapshot", "timestamp"]
            if not renewed and state.timestamp.signed.expires - now < life.timestamp * 7 / 8:
                store.write_release(store.state(), signing=(), online=self._signers("online"))
                renewed = ["snapshot", "timestamp"]
            state = store.state()
            parts = (state.root, state.targets, state.snapshot, state.timestamp)
            fresh_until = min(part.signed.expires for part in parts)
        return Renewal(renewed=tuple(renewed), fresh_until_utc=fresh_until, warnings=tuple(warnings))

    def sign_anew(self) -> None:
        """Say again, with the keys of the newest root, what is released.

        Raises:
            ConfigurationError: a key cannot be used.
            RegistryError: too few keys are at hand.
        """
        with self._writing() as store:
            self._sign_targets(store, store.state(), lambda _: None)

    def take_signature(self, answer: SigningRequest) -> tuple[Release, ...] | None:
        """Add signatures from another machine to the releases that wait; put them in force once they suffice.

        Returns:
            The releases that are new and to be served; None while signatures are still missing.

        Raises:
            RegistryError: nothing waits, the answer is about something else or is not signed by a key that
                counts, or something else was released meanwhile.
        """
        from ._signing_request import merged

        with self._writing() as store:
            state, requests = store.state(), self._requests()
            waiting = requests.waiting("targets")
            if waiting is None:
                raise _nothing_waits()
            request = merged(waiting, answer, [state.root.signed])
            requests.keep(request)
            before = self.releases()
            try:
                store.put_targets(state, request.opened(), online=self._signers("online"))
            except SignaturesMissingError:
                return None
            except RegistryError:
                requests.forget("targets")
                raise
            requests.forget("targets")
            return tuple(
                release
                for name, release in sorted(request.releases().items())
                if before.get(name) != release and name == release_target(release.model)
            )

    @contextmanager
    def _writing(self) -> Iterator[MetadataStore]:
        from filelock import FileLock, Timeout

        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.folder / ".lock", timeout=_LOCK_TIMEOUT_S):
                yield self._store()
        except Timeout as error:
            raise RegistryError(
                f"Somebody else has been writing releases in {self.folder} for {_LOCK_TIMEOUT_S:g} s.",
                safe="nothing was released.",
                next_step="see who does, then repeat the command.",
            ) from error

    def _store(self) -> MetadataStore:
        from ._metadata_store import MetadataStore

        return MetadataStore(self.folder / "metadata", self._lifetimes)

    def _signers(self, role: KeyRole) -> tuple[CryptoSigner, ...]:
        also = self._also if role == "signing" else ()
        return self.keys.signers(role, also=also, passphrase=self._passphrase)

    def _current(self, state: ReleaseState, name: str) -> Release | None:
        target = state.targets.signed.targets.get(name)
        if target is None:
            return None
        path = self.folder / "targets" / f"{target.hashes['sha256']}.{name}"
        try:
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != target.hashes["sha256"]:
                raise ValueError("its content is not what was signed")
            return Release.model_validate_json(content)
        except (OSError, ValidationError, ValueError) as error:
            raise RegistryError(
                f"{path.name} cannot be used: {error}.",
                safe="nothing was signed; edges keep what they have.",
                next_step="restore the folder of releases from its copy (docs/registry.md, 'Restore').",
            ) from error

    def _put_in_force(self, store: MetadataStore, state: ReleaseState, release: Release, name: str) -> None:
        from tuf.api.metadata import TargetFile

        content = release.model_dump_json().encode()
        target = TargetFile.from_data(name, content, ["sha256"])
        targets = self.folder / "targets"
        targets.mkdir(exist_ok=True)
        write_atomic(targets / f"{target.hashes['sha256']}.{name}", content)

        def change(signed: Targets) -> None:
            signed.targets[name] = target

        self._sign_targets(store, state, change)

    def _sign_targets(
        self, store: MetadataStore, state: ReleaseState, change: Callable[[Targets], None]
    ) -> None:
        targets = store.draft_targets(state, self._signers("signing"), change)
        try:
            store.put_targets(state, targets, online=self._signers("online"))
        except SignaturesMissingError as error:
            if error.details.get("role") != "targets":
                raise
            raise self._asked_for_signatures(targets, error) from error

    def _asked_for_signatures(
        self, targets: Metadata[Targets], error: SignaturesMissingError
    ) -> SignaturesMissingError:
        from ._signing_request import SigningRequest

        documents = {
            name: (self.folder / "targets" / f"{target.hashes['sha256']}.{name}").read_text()
            for name, target in targets.signed.targets.items()
        }
        path = self._requests().keep(SigningRequest.of(targets, documents))
        return waits_for_signatures(error.what, path)

    def _require_no_request_for(self, state: ReleaseState, target: str, envelope_sha256: str) -> None:
        # Asked again for what waits already: the signatures that were collected still count.
        waiting = self._requests().waiting("targets")
        if waiting is None or waiting.opened().signed.version != state.targets.signed.version + 1:
            return
        release = waiting.releases().get(target)
        if release is not None and release.envelope_sha256 == envelope_sha256:
            path = self._requests().path("targets")
            raise waits_for_signatures("This release waits for signatures from other machines.", path)

    def _require_no_waiting(self, state: ReleaseState) -> None:
        waiting = self._requests().waiting("targets")
        if waiting is not None and waiting.opened().signed.version == state.targets.signed.version + 1:
            raise waits_for_signatures("Releases wait for signatures.", self._requests().path("targets"))

    def _requests(self) -> SigningRequests:
        from ._signing_request import SigningRequests

        return SigningRequests(self.keys.waiting)

    def _lay_out(self, bundle: Path, manifest: BundleManifest) -> None:
        target = self.folder / bundle_folder(manifest.name, manifest.version)
        if (target / BUNDLE_ENVELOPE).exists() and sha256_file(target / BUNDLE_ENVELOPE) == sha256_file(
            bundle / BUNDLE_ENVELOPE
        ):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".laying-out-", dir=target.parent))
        try:
            for name in (*(file.path for file in manifest.files), BUNDLE_ENVELOPE):
                shutil.copyfile(bundle / name, aside / name)
            aside.chmod(0o755)
            shutil.rmtree(target, ignore_errors=True)
            aside.rename(target)
            fsync_directory(target.parent)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _forget_old_bundles(self, release: Release) -> None:
        folder = (self.folder / bundle_folder(release.model, release.bundle_version)).parent
        kept = {release.bundle_version, release.replaces}
        for current in self.releases().values():
            if current.model == release.model:
                kept |= {current.bundle_version, current.replaces}
        versions = sorted((int(path.name[1:]) for path in folder.glob("v*")), reverse=True)
        for version in versions[_KEPT_BUNDLES:]:
            if version not in kept:
                shutil.rmtree(self.folder / bundle_folder(release.model, version), ignore_errors=True)


def waits_for_signatures(what: str, path: Path) -> SignaturesMissingError:
    """What is said where signatures from other machines are needed."""
    return SignaturesMissingError(
        what,
        safe="nothing was put in force; edges keep what they have.",
        next_step=f"have {path} signed on another machine (`eucentric keys sign FILE --key KEY`), then "
        "`eucentric keys import-signature ANSWER`.",
        request=str(path),
    )


def _nothing_waits() -> RegistryError:
    return RegistryError(
        "No release waits for a signature here.",
        safe="nothing was changed.",
        next_step="see `eucentric models history`: it may be in force already.",
    )
