"""A service on the network: certificates at the control channel, and keys to the data channel for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import zmq

from eucentric_core import (
    ConfigurationError,
    EdgeSettings,
    Frame,
    NotAuthorisedError,
    RepositorySettings,
    Role,
    ServiceUnavailableError,
    Settings,
    TlsSettings,
    edge_data_access,
    repository_data_access,
)
from eucentric_core.transport import (
    DataAccess,
    DataServer,
    KeyedService,
    PyroControlClient,
    PyroControlServer,
    StreamPublisher,
    StreamSubscriber,
)

from .certificates import Site

Context = zmq.Context[zmq.Socket[bytes]]


class Remote:
    """A service that anybody with a certificate may observe, and some may change."""

    def __init__(
        self,
        site: Site,
        start_data: Callable[..., DataServer],
        start_control: Callable[..., PyroControlServer],
    ) -> None:
        tls = site.server("127.0.0.1")
        self.keyed = KeyedService("edge", "0.0.0.0", tls)  # noqa: S104  (that is the point)
        self.data = start_data(keys=self.keyed.ring)
        methods = self.keyed.methods_for(
            {"status": lambda _: {"state": "well"}, "change": lambda _: {"changed": True}},
            needed={"change": Role.SCIENTIST},
        )
        self.control = start_control(methods, credentials=tls)

    def client(self, credentials: TlsSettings) -> PyroControlClient:
        """A control channel of somebody's."""
        return PyroControlClient(*self.control.address, credentials=credentials)

    def access(self, credentials: TlsSettings) -> DataAccess:
        """What somebody has to get keys by."""
        return DataAccess(lambda _timeout_s: self.client(credentials), client="test")

    def subscriber(self, context: Context, access: DataAccess | None) -> StreamSubscriber:
        """A subscription to its data channel."""
        return StreamSubscriber(*self.data.address, mode="lossless", context=context, access=access)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "authority")


@pytest.fixture
def remote(
    site: Site, start_data: Callable[..., DataServer], start_control: Callable[..., PyroControlServer]
) -> Iterator[Remote]:
    remote = Remote(site, start_data, start_control)
    with remote.keyed:
        yield remote


def test_who_shows_a_certificate_gets_frames_and_who_shows_none_not_a_byte(
    remote: Remote, site: Site, context: Context, make_frame: Callable[..., Frame]
) -> None:
    frame = make_frame(7)
    with (
        closing(StreamPublisher(remote.data.ingest_endpoint, context=context, timeout_s=20)) as publisher,
        remote.subscriber(context, remote.access(site.person("vera", Role.VIEWER))) as viewer,
        remote.subscriber(context, None) as stranger,
    ):
        viewer.wait_subscribed(20)
        publisher.publish(frame.header, frame.array)
        message = viewer.receive(20)
        assert message is not None
        assert message.frame().header.sequence == 7
        with pytest.raises(ServiceUnavailableError):
            stranger.wait_subscribed(0.5)
        (subscriber,) = remote.data.status().subscribers
        assert subscriber.holder is not None


def test_a_viewer_looks_and_a_scientist_changes(remote: Remote, site: Site) -> None:
    viewer = remote.client(site.person("vera", Role.VIEWER))
    scientist = remote.client(site.person("ada", Role.SCIENTIST))
    assert viewer.call("status", {}) == {"state": "well"}
    with pytest.raises(NotAuthorisedError, match="needs the role scientist; vera has the role viewer"):
        viewer.call("change", {})
    assert scientist.call("change", {}) == {"changed": True}
    viewer.close()
    scientist.close()


def test_a_revoked_certificate_ends_the_subscription_and_opens_no_other(
    remote: Remote, site: Site, context: Context
) -> None:
    access = remote.access(site.person("mole", Role.VIEWER))
    with remote.subscriber(context, access) as mole:
        mole.wait_subscribed(20)
        site.authority.revoke("mole")
        deadline_s = time.monotonic() + 30
        while remote.data.status().subscribers:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
    with remote.subscriber(context, access) as again, pytest.raises(NotAuthorisedError, match="revoked"):
        again.wait_subscribed(20)


def test_without_certificates_nothing_leaves_the_machine() -> None:
    with pytest.raises(ConfigurationError, match=r"asked to listen on 0\.0\.0\.0 without certificates"):
        KeyedService("edge", "0.0.0.0", None)  # noqa: S104
    here = KeyedService("edge", "127.0.0.1", None)
    assert here.ring is None


def test_a_role_for_a_method_that_there_is_not_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="instal"):
        KeyedService("edge", "127.0.0.1", None).methods_for({}, needed={"instal": Role.SCIENTIST})


@pytest.mark.parametrize(
    ("host", "has_certificate", "asks"),
    [
        ("127.0.0.1", True, False),  # on this machine, or through SSH: no keys
        ("edge.example", True, True),
        ("edge.example", False, False),
    ],
)
def test_settings_say_whether_keys_are_asked_for(
    host: str, has_certificate: bool, asks: bool, tmp_path: Path
) -> None:
    files = TlsSettings(authority=tmp_path / "a", certificate=tmp_path / "c", key=tmp_path / "k")
    settings = Settings(
        edge=EdgeSettings(host=host), repository=RepositorySettings(host=host, tls=files, http_port=4332)
    )
    if has_certificate:
        settings = settings.model_copy(update={"client": settings.client.model_copy(update={"tls": files})})
    assert (edge_data_access(settings, client="me") is not None) is asks
    # The files of its HTTP door do not make a repository on loopback speak in another way.
    assert (repository_data_access(settings, client="me") is not None) is asks
