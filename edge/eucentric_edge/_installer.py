"""Installing a model: fetch, verify, build aside, test, commit, swap. Anything wrong changes nothing."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from eucentric_core import (
    BundleError,
    BundleManifest,
    BusyError,
    CommandRefusedError,
    FrozenModel,
    fsync_directory,
    span,
    trace_id_of,
)
from eucentric_core.releases import Release
from eucentric_models.backends import at_next_run

from ._beside_frames import beside_frames
from ._bundle_fetch import fetch_bundle
from ._bundle_trust import Admission, BundleTrust
from ._installed_state import InstalledState, folder_by_hash
from ._model_slot import ModelSlot
from ._opener import ModelOpener
from ._serving_model import ServingModel

__all__ = ["Installation", "Installer"]

_RETURN_TIMEOUT_S = 10.0
_Admitted = TypeVar("_Admitted")

_log = logging.getLogger(__name__)


class Installation(FrozenModel):
    """A version was put in service.

    Attributes:
        version: the version that serves now.
        previous_version: the version that served before.
        prepare_s: time to fetch, verify, build, test and warm up, beside the running inference.
        swap_s: time to write the state durably and replace the reference.
        trace_id: of the loop that led to the version.
    """

    version: int
    previous_version: int | None
    prepare_s: float
    swap_s: float
    trace_id: str | None = None


class Installer:
    """Keeps the installed versions under `<home>/edge` and puts one of them in the slot.

    Args:
        folder: `<home>/edge`; made if need be.
        trust: decides which bundles are believed.
        model_name: the model this edge serves.
        slot: where the model in service is.
        opener: makes a verified bundle ready to serve.

    Raises:
        ConfigurationError: the state file is damaged or belongs to another model.
    """

    def __init__(
        self,
        folder: Path,
        trust: BundleTrust,
        *,
        model_name: str,
        slot: ModelSlot,
        opener: ModelOpener,
    ) -> None:
        self._incoming = folder / "incoming"
        self._models = folder / "models"
        self._state_file = folder / "state.json"
        self._trust = trust
        self._model_name = model_name
        self._slot = slot
        self._opener = opener
        self._at_work = threading.Lock()
        for path in (self._incoming, self._models):
            path.mkdir(parents=True, exist_ok=True)
        self._state = InstalledState.read(self._state_file, model_name=model_name)

    @property
    def state(self) -> InstalledState:
        """The installed versions."""
        return self._state

    def start(self) -> tuple[BundleError, ...]:
        """Put the last good version in service, verified anew, and remove what a crash left.

        Returns:
            Why versions that should have served were refused; they stay on disk to be looked at.
        """
        shutil.rmtree(self._incoming)
        self._incoming.mkdir()
        self._remove_unlisted()
        return self._open_last_good(None)

    def restore(self, lost: ServingModel, *, frame_shape: tuple[int, ...] | None) -> tuple[BundleError, ...]:
        """Put the last good version in service again, in place of a model whose process has ended.

        Waits for an installation that is under way, and does nothing where the slot holds another model by
        then. No frame may be under way with the lost one.

        Returns:
            Why versions that should have served were refused, as `start`; the slot is empty if all were.
        """
        with self._at_work:
            if self._slot.model is not lost:
                return ()
            self._slot.replace(None)
            return self._open_last_good(frame_shape)

    def _open_last_good(self, frame_shape: tuple[int, ...] | None) -> tuple[BundleError, ...]:
        refused: list[BundleError] = []
        for version in (self._state.current, self._state.previous):
            if version is None:
                continue
            try:
                self._slot.replace(self._load(version, frame_shape))
            except BundleError as error:
                _log.error("installed version %d refused: %s", version, error)
                refused.append(error)
            else:
                break
        return tuple(refused)

    def install(self, source: Path, *, frame_shape: tuple[int, ...] | None) -> Installation:
        """Put a published bundle in service. Runs beside the inference; only the swap meets it.

        Args:
            source: folder of the bundle.
            frame_shape: `(ny, nx)` of the frames at present, to warm up with.

        Raises:
            BundleError: it was refused; the error says why. The model in service keeps serving.
            BusyError: another installation is under way.
            OutOfSpaceError: there is no room for it.
        """
        with self._working():
            started_s = time.perf_counter()
            incoming = self._incoming / uuid4().hex
            try:
                admission = beside_frames(
                    lambda: _fetched(source, incoming, lambda: self._trust.admit(incoming, self._state))
                )
                manifest = admission.manifest
                if self._serves_already(admission):
                    return self._keep(admission, started_s)
                model = self._prepared(incoming, manifest, frame_shape)
                target = self._target(admission)
                # Left by a crash between this rename and the state file, so never in service.
                shutil.rmtree(target, ignore_errors=True)
                incoming.rename(target)
                fsync_directory(self._models)
            finally:
                shutil.rmtree(incoming, ignore_errors=True)
            return self._commit(self._state_after(admission), model, started_s)

    def rollback(self, *, frame_shape: tuple[int, ...] | None) -> Installation:
        """Go back one step, to the version that served before; it is verified and tested again.

        Raises:
            CommandRefusedError: there is no version to go back to.
            BundleError: it is not good any more.
            BusyError: an installation is under way.
        """
        with self._working():
            started_s = time.perf_counter()
            version = self._state.previous
            if version is None or version == self._serving_version():
                raise CommandRefusedError(
                    "There is no previous version to go back to.",
                    safe="the model in service keeps serving.",
                    next_step="publish the older weights under a new version and install that.",
                )
            model = self._load(version, frame_shape)
            state = self._state.model_copy(
                update={
                    "current": version,
                    "previous": None,
                    "current_release": self._state.release_of(version),
                    "previous_release": None,
                }
            )
            return self._commit(state, model, started_s)

    def note_release(self, release: Release) -> None:
        """Remember a newer release of the version that serves already; nothing is installed.

        Raises:
            BusyError: an installation is under way.
            OutOfSpaceError: the disk is full.
        """
        with self._working():
            self._remember(release)

    @property
    def folder_in_service(self) -> Path:
        """Where the bundle of the model in service lies.

        Raises:
            CommandRefusedError: none is in service.
        """
        version = self._serving_version()
        if version is None:
            raise CommandRefusedError(
                "No model is in service.", safe="nothing was changed.", next_step="install one first."
            )
        return self._folder(version)

    def kept_folder(self, release: Release) -> Path | None:
        """Where the bundle of a release lies on this machine already; None if it does not."""
        folder = self._folder(release.bundle_version)
        return folder if self._state.pins(release) and folder.is_dir() else None

    def _serves_already(self, admission: Admission) -> bool:
        # Told and looking by itself, an edge may hear of one release twice; and two may name one bundle.
        release, version = admission.release, admission.manifest.version
        if release is None or version != self._serving_version():
            return False
        return self._state.pins(release)

    def _target(self, admission: Admission) -> Path:
        release, version = admission.release, admission.manifest.version
        # Under the number that serves another content: the newer release is believed, and until the state is
        # written the other one has to stay where a restart looks for it.
        if release is not None and version == self._state.current and not self._state.pins(release):
            return folder_by_hash(release, self._models)
        return self._folder(version)

    def _keep(self, admission: Admission, started_s: float) -> Installation:
        release = admission.release
        if release is not None and release.rank != self._state.rank:
            self._remember(release)
        return Installation(
            version=admission.manifest.version,
            previous_version=self._state.previous,
            prepare_s=time.perf_counter() - started_s,
            swap_s=0.0,
        )

    def _remember(self, release: Release) -> None:
        state = self._state.model_copy(update={"current_release": release, "rank": release.rank})
        state.write(self._state_file)
        self._state = state

    def _state_after(self, admission: Admission) -> InstalledState:
        serving, version = self._serving_version(), admission.manifest.version
        release = admission.release
        # The version that serves, installed anew, leaves the one before it to go back to.
        previous = serving if serving != version else self._state.previous
        return InstalledState(
            model_name=self._model_name,
            current=version,
            previous=previous,
            highest=max(version, self._state.highest),
            current_release=release,
            previous_release=None if previous is None else self._state.release_of(previous),
            rank=self._state.rank if release is None else release.rank,
        )

    def _commit(self, state: InstalledState, model: ServingModel, started_s: float) -> Installation:
        before = self._serving_version()
        prepared_s = time.perf_counter()
        # The state file is the point of no return: a crash before it boots the old version, after it the new.
        state.write(self._state_file)
        self._state = state
        replaced = self._slot.replace(model)
        swapped_s = time.perf_counter()
        if replaced is not None:
            # Its memory is given back here, beside the frames, and not by the last frame that it answers.
            self._slot.wait_returned(replaced, timeout_s=_RETURN_TIMEOUT_S)
        self._remove_unlisted()
        version = model.manifest.version
        with span("edge.install", _trace_of(model.manifest), version=version):
            _log.info("version %d in service", version, extra={"previous_version": before})
        return Installation(
            version=model.manifest.version,
            previous_version=before,
            prepare_s=prepared_s - started_s,
            swap_s=swapped_s - prepared_s,
            trace_id=_trace_of(model.manifest),
        )

    def _load(self, version: int, frame_shape: tuple[int, ...] | None = None) -> ServingModel:
        folder = self._folder(version)
        manifest = self._trust.readmit(folder, version, self._state)
        return self._prepared(folder, manifest, frame_shape)

    def open_beside(self, source: Path, *, frame_shape: tuple[int, ...] | None) -> ServingModel:
        """Verify, build and test a published bundle without putting it in service: a challenger.

        Raises:
            BundleError: it was refused; the error says why.
            BusyError: another installation is under way.
        """
        with self._working():
            incoming = self._incoming / uuid4().hex
            try:
                manifest = beside_frames(
                    lambda: _fetched(source, incoming, lambda: self._trust.admit_trial(incoming, self._state))
                )
                return self._prepared(incoming, manifest, frame_shape)
            finally:
                shutil.rmtree(incoming, ignore_errors=True)

    def _prepared(
        self, folder: Path, manifest: BundleManifest, frame_shape: tuple[int, ...] | None
    ) -> ServingModel:
        return self._opener.open(
            folder, manifest, frame_shape=frame_shape, pixel_size_m=self._slot.pixel_size_m
        )

    def _serving_version(self) -> int | None:
        model = self._slot.model
        return None if model is None else model.manifest.version

    def _folder(self, version: int) -> Path:
        return self._state.folder_of(version, self._models)

    def _remove_unlisted(self) -> None:
        kept = {self._folder(v).name for v in (self._state.current, self._state.previous) if v is not None}
        for folder in self._models.iterdir():
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _working(self) -> Iterator[None]:
        if not self._at_work.acquire(blocking=False):
            raise BusyError(
                "Another installation is under way.",
                safe="the model in service keeps serving.",
                next_step="wait for it and try again.",
            )
        try:
            yield
        finally:
            self._at_work.release()


def _fetched(source: Path, incoming: Path, admitted: Callable[[], _Admitted]) -> _Admitted:
    at_next_run()
    fetch_bundle(source, incoming)
    at_next_run()
    return admitted()


def _trace_of(manifest: BundleManifest) -> str:
    return trace_id_of(manifest.lineage.trigger_id)
