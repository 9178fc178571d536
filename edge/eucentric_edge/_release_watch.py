"""Looking for new releases, by itself and when told that there is one; catching up after an outage."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from eucentric_core import (
    BusyError,
    EucentricError,
    ReleaseExpiredError,
    ReleaseUnreachableError,
    utc_now,
)
from eucentric_core.releases import Release, ReleaseSource, ReleaseTrust

from ._bundle_trust import ReleasedTrust
from ._installer import Installation, Installer
from ._release_fetch import fetch_released

__all__ = ["ReleaseWatch"]

_log = logging.getLogger(__name__)


class ReleaseWatch:
    """Installs the newest release, whoever or whatever was down when it was published.

    A release that was refused is not tried again; one that could not be fetched is, at the next look.

    Args:
        trust: decides what is a release.
        view: of the same releases, for the alarms.
        source: where the files are.
        installer: puts bundles in service.
        folder: where fetched bundles lie until they are installed.
        frame_shape: tells `(ny, nx)` of the frames at present, to warm up with.
        installed: told of what was put in service.
        refused: told of a release or of metadata that were refused, once for each.
    """

    def __init__(
        self,
        trust: ReleasedTrust,
        view: ReleaseTrust,
        source: ReleaseSource,
        installer: Installer,
        *,
        folder: Path,
        frame_shape: Callable[[], tuple[int, ...] | None],
        installed: Callable[[Installation], object],
        refused: Callable[[EucentricError], object],
    ) -> None:
        self._trust = trust
        self._view = view
        self._source = source
        self._installer = installer
        self._folder = folder
        self._frame_shape = frame_shape
        self._installed = installed
        self._refused = refused
        self._refused_rank: tuple[int, int] | None = None
        self._refusal: EucentricError | None = None
        self._alarm: str | None = None
        self._now = threading.Event()
        self._looking = threading.Lock()

    def run(self, stopping: threading.Event, *, every_s: float) -> None:
        """Look until it is time to stop. Failures are logged and said in the status; none ends this."""
        while not stopping.is_set():
            try:
                self.look()
            except EucentricError as error:
                _log.warning("no new release was installed: %s", error)
            self._now.wait(every_s)
            self._now.clear()

    def wake(self) -> None:
        """Have `run` look now; also used to make it notice that it is time to stop."""
        self._now.set()

    @property
    def refusal(self) -> EucentricError | None:
        """Why the newest release is not in service; None if it was not refused.

        Whoever promoted it may ask after this watch has looked by itself, and has to hear of it all the same.
        """
        return self._refusal

    @property
    def trouble(self) -> str | None:
        """Why the last look put nothing in service that should be, as a sentence; None where all is well."""
        return self._alarm or (None if self._refusal is None else self._refusal.what)

    def look(self, *, again: bool = False) -> Installation | None:
        """Look once, and install what is new.

        Args:
            again: take the newest release also if this edge had it and went back from it.

        Returns:
            What was put in service; None if nothing is new.

        Raises:
            EucentricError: as by `ReleasedTrust.newest`, `fetch_released` and `Installer.install`.
        """
        with self._looking:
            try:
                release = self._trust.newest(self._installer.state)
                installation = None if release is None else self._follow(release, again=again)
            except BusyError:
                raise
            except ReleaseUnreachableError:
                if self._view.view.state(utc_now()) == "expired":
                    self._raise_alarm(_expired(self._view))
                raise
            except EucentricError as error:
                self._raise_alarm(error)
                raise
            finally:
                shutil.rmtree(self._folder, ignore_errors=True)
            self._alarm = None
            return installation

    def _follow(self, release: Release, *, again: bool) -> Installation | None:
        state = self._installer.state
        if release.rank == self._refused_rank:
            return None
        self._refusal = None
        if release.rank == state.rank and not (again and release.bundle_version != state.current):
            # The one installed, which an operator may have gone back from.
            return None
        if release.bundle_version == state.current and state.pins(release):
            self._installer.note_release(release)
            return None
        kept = self._installer.kept_folder(release)
        if kept is None:
            fetch_released(self._source, release, self._folder)
        try:
            installation = self._installer.install(kept or self._folder, frame_shape=self._frame_shape())
        except BusyError:
            raise
        except EucentricError as error:
            self._refused_rank, self._refusal = release.rank, error
            raise
        self._installed(installation)
        return installation

    def _raise_alarm(self, error: EucentricError) -> None:
        # One alarm for each change, not one for each look.
        if error.what != self._alarm:
            self._refused(error)
        self._alarm = error.what


def _expired(trust: ReleaseTrust) -> EucentricError:
    return ReleaseExpiredError(
        trust.view.sentence(utc_now()),
        safe="the model in service keeps serving; nothing is installed.",
        next_step="restore the way to the hub, or bring a copy of its releases (`eucentric models export`).",
    )
