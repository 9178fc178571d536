"""Verifying releases by TUF metadata, and remembering what was verified."""

from __future__ import annotations

import logging
import threading
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from .._errors import (
    ConfigurationError,
    EucentricError,
    ReleaseRefusedError,
    ReleaseUnreachableError,
)
from .._files import write_atomic
from .._model import utc_now
from ._failures import typed_failure
from ._fetcher import fetcher_of
from ._release import Release, challenger_target, release_target
from ._source import ReleaseSource
from ._view import ReleaseView

if TYPE_CHECKING:
    from tuf.api.metadata import TargetFile
    from tuf.ngclient import Updater

__all__ = ["MAX_METADATA_BYTES", "ReleaseTrust"]

MAX_METADATA_BYTES = 2 << 20
"""No metadata file and no release may be longer; most have their exact length signed."""

_MAX_ROOT_BYTES = 512_000
_MAX_RELEASE_BYTES = 64 << 10
_ROLES = ("root", "timestamp", "snapshot", "targets")

_log = logging.getLogger(__name__)


class ReleaseTrust:
    """One machine's verified knowledge of the releases of a site. May be used by several threads.

    All of TUF's client workflow is python-tuf's: thresholds, rotation of every role, versions that only
    rise, expiry, one consistent snapshot, bounded lengths. Here are the source, the errors and the memory.

    Args:
        folder: where verified metadata are kept; made if need be. Belongs to one process.
        root: file of the root metadata this machine was given by hand; later roots are verified by it.

    Raises:
        ConfigurationError: the root file is missing or damaged.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self._folder = folder
        self._root = root
        self._at_work = threading.Lock()
        self._view_file = folder / "view.json"
        folder.mkdir(parents=True, exist_ok=True)
        self._bootstrap = _read_root(root)
        self._bootstrap_view = self._checked_bootstrap()
        self._view = self._remembered_view()

    @property
    def view(self) -> ReleaseView:
        """What is known, without asking anybody."""
        return self._view

    def newest(self, model: str, source: ReleaseSource, *, challenger: bool = False) -> Release | None:
        """The newest release of a model, verified now; None if the site has released none of this name.

        Args:
            model: whose.
            source: where releases are.
            challenger: the one to be tried, in place of the one to be served.

        Raises:
            ReleaseUnreachableError: the source does not answer.
            ReleaseExpiredError: the newest metadata at hand has expired.
            ReleaseRefusedError: what the source shows is not signed as it must be, is older than what was
                seen before, does not belong together, or is longer than it may be.
        """
        with self._at_work:
            try:
                with typed_failure():
                    target = challenger_target(model) if challenger else release_target(model)
                    release = self._newest(model, target, source)
            except EucentricError as error:
                self._remember(error)
                raise
            self._remember(None)
            return release

    def _newest(self, model: str, name: str, source: ReleaseSource) -> Release | None:
        updater = self._updater(source)
        updater.refresh()
        target = updater.get_targetinfo(name)
        if target is None:
            return None
        release = self._read_release(updater, target)
        if release.model != model:
            raise ReleaseRefusedError(
                f"The release signed for model {model!r} speaks of {release.model!r}.",
                safe="the model in service keeps serving.",
                next_step="ask who made this release.",
            )
        root_version = self._version_of("root")
        if root_version is not None and release.root_version > root_version:
            raise ReleaseRefusedError(
                f"The release claims root version {release.root_version}; the newest is {root_version}.",
                safe="the model in service keeps serving.",
                next_step="ask who made this release.",
            )
        return release

    def _updater(self, source: ReleaseSource) -> Updater:
        from tuf.ngclient import Updater, UpdaterConfig

        config = UpdaterConfig(
            max_root_rotations=64,
            max_delegations=0,
            root_max_length=_MAX_ROOT_BYTES,
            timestamp_max_length=16_384,
            snapshot_max_length=MAX_METADATA_BYTES,
            targets_max_length=MAX_METADATA_BYTES,
        )
        return Updater(
            metadata_dir=str(self._folder),
            metadata_base_url="metadata/",
            target_dir=str(self._folder),
            target_base_url="targets/",
            fetcher=fetcher_of(source, max_bytes=MAX_METADATA_BYTES),
            config=config,
            bootstrap=self._bootstrap,
        )

    def _read_release(self, updater: Updater, target: TargetFile) -> Release:
        if target.length > _MAX_RELEASE_BYTES:
            raise ReleaseRefusedError(
                f"A release of {target.length} bytes is longer than any release.",
                safe="the model in service keeps serving.",
                next_step="ask who made this release.",
            )
        cached = updater.find_cached_target(target)
        path = Path(cached if cached is not None else updater.download_target(target))
        try:
            return Release.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise ReleaseRefusedError(
                f"The signed release is not of this schema: {error}.",
                safe="the model in service keeps serving.",
                next_step="update this machine.",
            ) from error

    def _remember(self, problem: EucentricError | None) -> None:
        report = None if problem is None else problem.report()
        self._view = self._verified_view().model_copy(update={"looked_utc": utc_now(), "problem": report})
        write_atomic(self._view_file, self._view.model_dump_json().encode(), durable=False)

    def _verified_view(self) -> ReleaseView:
        from tuf.api.metadata import Metadata

        expires: dict[str, datetime] = {}
        versions: dict[str, int] = {}
        for role in _ROLES:
            try:
                signed = Metadata.from_file(str(self._folder / f"{role}.json")).signed
            except _unreadable():
                continue
            expires[role], versions[role] = signed.expires, signed.version
        dependent = [expires[role] for role in _ROLES[1:] if role in expires]
        return ReleaseView(
            root_version=versions.get("root", self._bootstrap_view.root_version),
            root_expires_utc=expires.get("root", self._bootstrap_view.root_expires_utc),
            timestamp_version=versions.get("timestamp"),
            fresh_until_utc=min(dependent, default=None),
        )

    def _remembered_view(self) -> ReleaseView:
        try:
            return ReleaseView.model_validate_json(self._view_file.read_bytes())
        except FileNotFoundError:
            pass
        except (OSError, ValidationError) as error:
            # For people alone: what is trusted lies in the metadata files themselves.
            _log.warning("%s cannot be read and is written anew: %s", self._view_file, error)
        return self._bootstrap_view

    def _checked_bootstrap(self) -> ReleaseView:
        from tuf.api.metadata import Metadata, Root

        try:
            with typed_failure():
                root = Metadata[Root].from_bytes(self._bootstrap)
                root.verify_delegate(Root.type, root)
        except (ReleaseRefusedError, ReleaseUnreachableError, ValueError) as error:
            raise _no_root(f"{self._root} is no root metadata that signs for itself: {error}") from error
        return ReleaseView(root_version=root.signed.version, root_expires_utc=root.signed.expires)

    def _version_of(self, role: str) -> int | None:
        from tuf.api.metadata import Metadata

        try:
            return int(Metadata.from_file(str(self._folder / f"{role}.json")).signed.version)
        except _unreadable():
            return None


def _unreadable() -> tuple[type[Exception], ...]:
    from tuf.api.exceptions import RepositoryError, StorageError

    return StorageError, RepositoryError, OSError


def _read_root(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_ROOT_BYTES + 1)
    except OSError as error:
        raise _no_root(f"The root metadata {path} cannot be read: {error.strerror}.") from error
    if len(content) > _MAX_ROOT_BYTES:
        raise _no_root(f"{path} is longer than any root metadata.")
    return content


def _no_root(what: str) -> ConfigurationError:
    return ConfigurationError(
        what,
        safe="nothing is trusted without it.",
        next_step="copy root.json from the hub (`eucentric keys show` says where it is) to this machine.",
    )
