"""The service: a thin loop around `ingest_once`, its control methods and its event stream."""

from __future__ import annotations

import logging
import random
import threading
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import zmq
from pydantic import JsonValue

from eucentric_core import (
    ConfigurationError,
    ErrorReport,
    EucentricError,
    OutOfSpaceError,
    ServiceUnavailableError,
    Settings,
    TransportError,
    UnsupportedError,
)
from eucentric_core.transport import (
    DataServer,
    KeyedService,
    PyroControlServer,
    StreamPublisher,
    open_pacer,
    require_port_free,
)
from eucentric_transfer import MoverOptions, open_mover

from ._backfill import read_missing_facts
from ._catalogue import Catalogue
from ._database import database_of
from ._folders import RepositoryFolders
from ._inbox import Inbox
from ._ingest import ingest_once
from ._metadata_schema import load_metadata_schema
from ._registrar import Registrar
from ._root_lock import root_lock
from ._root_marker import require_root
from ._root_record import claim_repository, opening_catalogue
from ._spares import drop_spares

if TYPE_CHECKING:
    from .http_door import HttpDoor

__all__ = ["RepositoryService"]

_POLL_S = 0.2
_PUBLISH_TIMEOUT_S = 2.0
_JOIN_S = 3.0
_INBOX_POLL_S = 3.0
_SPARES_POLL_S = 60.0
_MAX_NAME = 120
_MAX_SHOWN = 20
_INGEST_ENDPOINT = "inproc://repository-events"

_log = logging.getLogger(__name__)


class RepositoryService:
    """Takes in what arrives, answers `ping` and `status`, and publishes events.

    Args:
        settings: of this machine.
        stopping: set when waiting must end.
        new_root: the root may be another than the one that was served from this home.

    Raises:
        ConfigurationError: a port is in use, the root cannot be made or is not the one that was served, or a
            newer version wrote the catalogue.
        OutOfSpaceError, ServiceUnavailableError: the catalogue cannot be opened.
    """

    def __init__(
        self, settings: Settings, *, stopping: threading.Event | None = None, new_root: bool = False
    ) -> None:
        repository = settings.repository
        self.root = settings.repository_path
        folders = RepositoryFolders(self.root)
        _require_metadata_schema(repository.metadata_schema)
        database = database_of(settings)
        try:
            self._repository_id = claim_repository(settings, database, new_root=new_root)
        except OSError as error:
            raise ConfigurationError(
                f"The repository's root {self.root} cannot be used: {error.strerror or error}.",
                safe="nothing was started.",
                next_step="mount it, correct its permissions, or set repository.root.",
            ) from error
        self._folders = folders
        with opening_catalogue():
            self._registrar = Registrar(database, registered_by=repository.name)
        self._catalogue = Catalogue(database)
        self._error: ErrorReport | None = None
        self._inbox_due_s = 0.0
        self._spares_due_s = 0.0
        self._inbox_error: ErrorReport | None = None
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        methods = {"ping": self._ping, "status": self._status}
        self._inbox = _open_inbox(settings, folders, stopping)
        try:
            self._keyed = KeyedService("repository", repository.host, repository.channel_tls)
            require_port_free(repository.host, repository.control_port, "the repository's control channel")
            self._data = DataServer(
                host=repository.host,
                port=repository.data_port,
                ingest_endpoint=_INGEST_ENDPOINT,
                context=self._context,
                keys=self._keyed.ring,
                pacer=open_pacer(settings.link, home=settings.home),
                bulk_dscp=settings.link.bulk_dscp,
            )
            self._control = PyroControlServer(
                self._keyed.methods_for(methods, needed={}),
                host=repository.host,
                port=repository.control_port,
                credentials=repository.channel_tls,
            )
            self._http = self._open_http(settings)
        except ConfigurationError:
            self._close_catalogue()
            # Sockets of a half-built service are closed with the context.
            self._context.destroy(linger=0)
            raise
        self._threads = [
            threading.Thread(target=self._control.serve, name="control", daemon=True),
            threading.Thread(target=self._data.serve, name="data", daemon=True),
        ]

    def start(self) -> None:
        """Answer on both channels."""
        self._keyed.start()
        for thread in self._threads:
            thread.start()
        self._publisher = StreamPublisher(
            _INGEST_ENDPOINT, context=self._context, timeout_s=_PUBLISH_TIMEOUT_S
        )

        if self._http is not None:
            self._http.start()

    def run(self, stopping: threading.Event) -> None:
        """Take in what arrives until told to stop."""
        while not stopping.is_set():
            self.step()
            stopping.wait(_POLL_S)

    def step(self) -> None:
        """One look into the incoming folder, and the events that are due."""
        try:
            # Before the lock, which would make a file in an empty mount point.
            require_root(self.root, self._repository_id)
            with root_lock(self.root) as ours:
                if ours:
                    self._take_in()
            self._error = None
        except (OutOfSpaceError, ServiceUnavailableError, TransportError) as error:
            self._note(error.report())
        except OSError as error:
            self._note(
                ServiceUnavailableError(
                    f"The repository's root {self.root} does not answer: {error.strerror or error}.",
                    safe="what has arrived stays where it is.",
                    next_step="check that it is mounted and may be written; it is tried again.",
                ).report()
            )

    def _take_in(self) -> None:
        due = self._inbox is not None and time.monotonic() >= self._inbox_due_s
        if due:
            self._inbox_due_s = time.monotonic() + _INBOX_POLL_S * random.uniform(0.8, 1.2)  # noqa: S311
            self._look_into_inbox("fetched")
        # What lies in the root's own folder does not wait for a far end.
        ingest_once(self.root, self._registrar)
        self._publish_due()
        read_missing_facts(self._folders, self._registrar)
        if time.monotonic() >= self._spares_due_s:
            self._spares_due_s = time.monotonic() + _SPARES_POLL_S
            drop_spares(self._folders)
        if due:
            # Without the root, what was taken in looks as if it had been refused.
            require_root(self.root, self._repository_id)
            self._look_into_inbox("answered")

    def _look_into_inbox(self, what: Literal["fetched", "answered"]) -> None:
        if self._inbox is None:
            return
        try:
            count = self._inbox.fetch() if what == "fetched" else self._inbox.answer()
        except EucentricError as error:
            # Whatever is wrong there, the rest of the repository goes on.
            if self._inbox_error is None:
                _log.error("the inbox: %s", error.what)
            self._inbox_error = error.report()
            return
        self._inbox_error = None
        if count:
            _log.info("%s %d documents of the inbox", what, count)

    def stop(self) -> None:
        """Close both channels and the catalogue."""
        if self._http is not None:
            self._http.stop()
        self._publisher.close()
        self._control.stop()
        self._data.stop()
        self._keyed.stop()
        for thread in self._threads:
            thread.join(timeout=_JOIN_S)
        self._close_catalogue()
        self._context.term()

    def _publish_due(self) -> None:
        for position, event in self._registrar.unpublished():
            self._publisher.publish_event(event)
            self._registrar.mark_published(position)
            _log.info("published %s", event.kind, extra={"event": event.model_dump(mode="json")})

    def _note(self, report: ErrorReport) -> None:
        if self._error is None or (self._error.code, self._error.what) != (report.code, report.what):
            _log.error("%s", report.what)
        self._error = report

    def _open_http(self, settings: Settings) -> HttpDoor | None:
        if settings.repository.http_port is None:
            return None
        # FastAPI is loaded where there is a door, and nowhere else.
        from .http_door import HttpDoor

        return HttpDoor(self._catalogue, settings.repository, repository_id=self._repository_id)

    @property
    def _trouble(self) -> ErrorReport | None:
        return self._error or self._inbox_error

    def _close_catalogue(self) -> None:
        if self._inbox is not None:
            self._inbox.close()
        self._catalogue.close()
        self._registrar.close()

    def _ping(self, _payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        state = "serving" if self._trouble is None else "failing"
        return {"service": "repository", "version": version("eucentric"), "state": state}

    def _status(self, _payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        try:
            require_root(self.root, self._repository_id)
        except ServiceUnavailableError as error:
            # Nothing is opened: that could make a catalogue where the root should be mounted.
            return {"root": str(self.root), "error": error.report().model_dump(mode="json")}
        datasets = self._catalogue.datasets()
        return {
            "root": str(self.root),
            "datasets": len(datasets),
            "complete": sum(dataset.state == "complete" for dataset in datasets),
            "shards": sum(dataset.shards for dataset in datasets),
            "frames": sum(dataset.frames for dataset in datasets),
            "quarantined": sum(1 for _ in self._folders.quarantine.glob("*.reason.json")),
            "inbox_left_alone": self._left_alone(),
            "unpublished_events": len(self._registrar.unpublished()),
            "error": self._trouble.model_dump(mode="json") if self._trouble is not None else None,
        }

    def _left_alone(self) -> dict[str, JsonValue]:
        left = dict(self._inbox.left_alone) if self._inbox is not None else {}
        # Names in escapes: what somebody called a thing there may not even be text.
        shown = {ascii(name[:_MAX_NAME]): left[name] for name in sorted(left)[:_MAX_SHOWN]}
        return {"count": len(left), "first": dict[str, JsonValue](shown)}


def _require_metadata_schema(path: Path | None) -> None:
    if path is None:
        return
    # Where jsonschema is missing the repository serves all the same: `annotate` says so where it is run.
    with suppress(UnsupportedError):
        load_metadata_schema(path)


def _open_inbox(
    settings: Settings, folders: RepositoryFolders, stopping: threading.Event | None
) -> Inbox | None:
    where = settings.repository.inbox
    if where is None:
        return None
    options = MoverOptions(
        state=settings.home / "repository-inbox",
        stopping=stopping,
        s3=settings.s3,
        globus=settings.globus.within(settings.home),
    )
    return Inbox(open_mover(where, options=options), folders)
