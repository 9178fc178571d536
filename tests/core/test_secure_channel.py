"""Only who the site's authority has certified gets in, as whom it says, and only as long as it says so."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from eucentric_core import (
    BusyError,
    Caller,
    CommandRefusedError,
    ConfigurationError,
    EucentricError,
    NotAuthorisedError,
    Role,
    ServiceUnavailableError,
    TlsSettings,
    TransportError,
    utc_now,
)
from eucentric_core.security import (
    RevocationList,
    Trust,
    caller_from_certificate,
    client_context,
    load_certificate,
)
from eucentric_core.transport import ControlLimits, Methods, PyroControlClient, PyroControlServer

from .certificates import CLIENT, SERVER, Site, role_name

StartControl = Callable[..., PyroControlServer]
Payload = dict[str, Any]


def who_am_i(caller: Caller) -> Methods:
    return {"who": lambda _: caller.model_dump(mode="json")}


def ask(server: PyroControlServer, credentials: TlsSettings | None, host: str = "127.0.0.1") -> Payload:
    client = PyroControlClient(host, server.address[1], timeout_s=10, credentials=credentials)
    try:
        return client.call("who", {})
    finally:
        client.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("site") / "authority")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Another authority that gives itself the same name."""
    return Site(tmp_path_factory.mktemp("stranger") / "authority")


@pytest.mark.parametrize("role", list(Role))
def test_the_service_knows_who_calls_and_their_role(
    site: Site, start_control: StartControl, role: Role
) -> None:
    server = start_control(who_am_i, credentials=site.server())
    credentials = site.person(f"anna-{role}", role)
    caller = Caller.model_validate(ask(server, credentials))
    assert (caller.name, caller.role, caller.authenticated, caller.local) == (
        f"anna-{role}",
        role,
        True,
        False,
    )
    assert caller.address.startswith("127.0.0.1:")
    assert (
        caller.fingerprint == caller_from_certificate(load_certificate(credentials.certificate)).fingerprint
    )


def test_two_people_in_one_process_are_two_callers(site: Site, start_control: StartControl) -> None:
    server = start_control(who_am_i, credentials=site.server())
    everybody = [site.person("ben", Role.VIEWER), site.person("cleo", Role.ADMIN)] * 4
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda credentials: ask(server, credentials), everybody))
    assert [(a["name"], a["role"]) for a in answers] == [("ben", "viewer"), ("cleo", "admin")] * 4


def revoked_person(site: Site, _: Site) -> TlsSettings:
    credentials = site.person("dora")
    site.authority.revoke("dora")
    return credentials


def from_elsewhere(site: Site, stranger: Site) -> TlsSettings:
    return stranger.forged(role_name("admin")).model_copy(
        update={"authority": site.authority.folder / "authority.pem"}
    )


BAD_CLIENTS: dict[str, tuple[Callable[[Site, Site], TlsSettings | None], str]] = {
    "none": (lambda site, _: None, "holders of a certificate only"),
    "of another authority": (
        from_elsewhere,
        r"Your certificate .*'mallory'.* is not from the authority",
    ),
    "expired": (
        lambda site, _: site.forged(role_name("admin"), valid_until=utc_now() - timedelta(hours=1)),
        "Your certificate 'mallory' .* has expired",
    ),
    "not valid yet": (
        lambda site, _: site.forged(role_name("admin"), valid_from=utc_now() + timedelta(hours=1)),
        "Your certificate 'mallory' .* is damaged, or not valid yet",
    ),
    "revoked": (revoked_person, "'dora' .* has been revoked"),
    "of a server": (lambda site, _: site.server(), "Your certificate 'scope-.* is not for clients"),
    "of a server that names a role": (
        lambda site, _: site.forged(role_name("admin"), usage=SERVER),
        "is not for clients",
    ),
    "without a role": (lambda site, _: site.forged(x509.DNSName("here")), "'mallory' .* names no role"),
    "with an unknown role": (
        lambda site, _: site.forged(role_name("root")),
        "names a role that is not known here, 'root'",
    ),
    "with two roles": (
        lambda site, _: site.forged(role_name("viewer"), role_name("admin")),
        "names several roles",
    ),
    "with somebody's label in its name": (
        lambda site, _: site.forged(role_name("viewer"), common_name="anna/notebook"),
        "carries no usable name",
    ),
}


@pytest.mark.parametrize("kind", BAD_CLIENTS)
def test_a_bad_certificate_is_refused_with_words_that_help(
    site: Site, stranger: Site, start_control: StartControl, kind: str
) -> None:
    asked: list[Caller] = []

    def remember(caller: Caller) -> Methods:
        asked.append(caller)
        return {}

    server = start_control(remember, credentials=site.server())
    make, words = BAD_CLIENTS[kind]
    with pytest.raises(NotAuthorisedError, match=words) as caught:
        ask(server, make(site, stranger))
    assert "eucentric certs issue" in caught.value.next_step
    assert asked == []


BAD_SERVERS: dict[str, tuple[Callable[[Site, Site], TlsSettings], str]] = {
    "of another authority": (
        lambda _, stranger: stranger.server(),
        "is not from the authority",
    ),
    "expired": (
        lambda site, _: site.forged(
            x509.DNSName("localhost"), usage=SERVER, valid_until=utc_now() - timedelta(hours=1)
        ),
        "has expired",
    ),
    "of a person": (
        lambda site, _: site.forged(x509.DNSName("localhost"), usage=CLIENT),
        "is not for servers",
    ),
    "of another host": (lambda site, _: site.server("scope.example.org"), "is not for this host name"),
    "of another address": (lambda site, _: site.server("192.0.2.7"), "is not for this host name"),
}


@pytest.mark.parametrize("kind", BAD_SERVERS)
def test_a_client_talks_to_no_service_but_the_named_one(
    site: Site, stranger: Site, start_control: StartControl, kind: str
) -> None:
    make, words = BAD_SERVERS[kind]
    server = start_control(who_am_i, credentials=make(site, stranger))
    with pytest.raises(NotAuthorisedError, match=rf"certificate that the service at localhost.*({words})"):
        ask(server, site.forged(role_name("viewer")), "localhost")


def test_an_address_is_checked_like_a_host_name(site: Site, start_control: StartControl) -> None:
    server = start_control(who_am_i, credentials=site.server("localhost"))
    assert ask(server, site.forged(role_name("viewer")), "localhost")["name"] == "mallory"
    with pytest.raises(NotAuthorisedError, match="is not for this address"):
        ask(server, site.forged(role_name("viewer")), "127.0.0.1")


def test_a_revoked_service_is_left_alone_by_clients_that_have_the_list(
    site: Site, start_control: StartControl
) -> None:
    credentials = site.server()
    server = start_control(who_am_i, credentials=credentials)
    site.authority.revoke(f"{load_certificate(credentials.certificate).serial_number:016x}")
    client = site.forged(role_name("viewer"))
    assert ask(server, client)["role"] == "viewer"
    with pytest.raises(NotAuthorisedError, match=r"'scope-.* has been revoked"):
        ask(server, client.model_copy(update={"revoked": site.authority.revocation_list}))


def test_revocation_ends_a_connection_that_is_open(site: Site, start_control: StartControl) -> None:
    server = start_control(who_am_i, credentials=site.server())
    clients = [PyroControlClient(*server.address, credentials=site.person(name)) for name in ("emil", "fay")]
    assert [client.call("who", {})["name"] for client in clients] == ["emil", "fay"]
    site.authority.revoke("emil")
    for _ in range(2):  # in the open connection, then when it is opened again
        with pytest.raises(NotAuthorisedError, match=r"'emil' .* has been revoked"):
            clients[0].call("who", {})
    assert clients[1].call("who", {})["name"] == "fay"
    for client in clients:
        client.close()


def test_a_list_of_revoked_that_cannot_be_trusted_lets_nobody_in(
    site: Site, stranger: Site, start_control: StartControl, tmp_path: Path
) -> None:
    good = site.authority.revocation_list
    used = tmp_path / "revoked.pem"
    shutil.copy(good, used)
    server = start_control(who_am_i, credentials=site.server().model_copy(update={"revoked": used}))
    credentials = site.person("gus")
    client = PyroControlClient(*server.address, credentials=credentials)
    assert client.call("who", {})["name"] == "gus"

    def put(content: bytes | None) -> None:
        used.unlink()
        if content is not None:
            used.write_bytes(content)

    for content, words in (
        (stranger.authority.revocation_list.read_bytes(), "is not signed by the authority"),
        (b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "is damaged"),
        (b"", "is damaged"),
    ):
        put(content)
        with pytest.raises(NotAuthorisedError, match=words):
            client.call("who", {})
        put(good.read_bytes())
        assert client.call("who", {})["name"] == "gus"
    put(None)
    for asking in (lambda: client.call("who", {}), lambda: ask(server, credentials)):
        with pytest.raises(NotAuthorisedError, match=r"cannot be read .*nobody is let in") as caught:
            asking()
        assert "revoked.pem" in caught.value.next_step
    client.close()


def test_a_certificate_that_expires_is_refused_in_an_open_connection_too(site: Site) -> None:
    gone = load_certificate(
        site.forged(role_name("viewer"), valid_until=utc_now() - timedelta(seconds=1)).certificate
    )
    with pytest.raises(NotAuthorisedError, match=r"'mallory' .* has expired"):
        Trust(gone, None).require()


def test_a_changed_list_is_read_again(site: Site) -> None:
    revoked = RevocationList(site.authority.revocation_list, site.authority.certificate)
    certificate = load_certificate(site.person("hal").certificate)
    revoked.require_not_revoked(certificate)
    site.authority.revoke("hal")
    with pytest.raises(NotAuthorisedError, match=r"'hal' .* has been revoked"):
        revoked.require_not_revoked(certificate)


def test_tls_before_1_3_is_not_spoken(site: Site, start_control: StartControl) -> None:
    server = start_control(who_am_i, credentials=site.server())
    context = client_context(site.forged(role_name("admin")))
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(server.address) as plain,
        pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"),
    ):
        context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_certificates_are_no_use_where_the_service_has_none(site: Site, start_control: StartControl) -> None:
    server = start_control(who_am_i)
    with pytest.raises(ServiceUnavailableError, match="does not speak TLS"):
        ask(server, site.forged(role_name("admin")))


def test_one_certificate_cannot_take_every_connection(site: Site, start_control: StartControl) -> None:
    release, running = threading.Event(), threading.Semaphore(0)

    def wait(_: Payload) -> Payload:
        running.release()
        assert release.wait(30)
        return {}

    limits = ControlLimits(per_certificate=3)
    server = start_control({"wait": wait, "who": lambda _: {}}, credentials=site.server(), limits=limits)
    credentials = site.person("ida")
    clients = [PyroControlClient(*server.address, credentials=credentials) for _ in range(4)]
    for client in clients:  # the fourth takes the place of the first, which comes back in that of the second
        client.call("who", {})
    assert clients[0].call("who", {}) == {}
    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(client.call, "wait", {}) for client in clients[:3]]
        for _ in answers:
            assert running.acquire(timeout=20)
        with pytest.raises(BusyError, match="3 commands of this certificate are running already"):
            ask(server, credentials)
        assert ask(server, site.forged(role_name("viewer"))) == {}
        release.set()
        assert [answer.result(20) for answer in answers] == [{}] * 3
    for client in clients:
        client.close()


def test_whoever_gave_up_on_hanging_methods_can_still_stop(site: Site, start_control: StartControl) -> None:
    release, running = threading.Event(), threading.Semaphore(0)

    def hang(_: Payload) -> Payload:
        running.release()
        assert release.wait(60)
        return {}

    def stop(_: Payload) -> Payload:
        release.set()
        return {"stop": "done"}

    limits = ControlLimits(per_certificate=3)
    server = start_control({"hang": hang, "stop": stop}, credentials=site.server(), limits=limits)
    credentials = site.person("jo")
    with ThreadPoolExecutor(1) as pool:
        for _ in range(5):
            impatient = PyroControlClient(*server.address, credentials=credentials)
            answer = pool.submit(impatient.call, "hang", {})
            assert running.acquire(timeout=20)
            impatient._proxy._pyroConnection.hang_up()  # type: ignore[union-attr]
            with pytest.raises(TransportError, match="No answer to hang"):
                answer.result(20)
    client = PyroControlClient(*server.address, credentials=credentials)
    assert client.call("stop", {}) == {"stop": "done"}
    client.close()


def test_the_console_token_makes_a_local_operator(start_control: StartControl) -> None:
    server = start_control(who_am_i, token="a-secret")  # noqa: S106
    client = PyroControlClient(*server.address, token="a-secret")  # noqa: S106
    caller = Caller.model_validate(client.call("who", {}))
    client.close()
    assert (caller.role, caller.local, caller.authenticated) == (Role.OPERATOR, True, True)
    for token in (None, "", "A-secret", "ä"):
        stranger = PyroControlClient(*server.address, token=token)
        with pytest.raises(NotAuthorisedError, match="console token is missing or wrong"):
            stranger.call("who", {})


def test_without_certificates_everybody_is_anonymous_with_the_given_role(start_control: StartControl) -> None:
    caller = Caller.model_validate(ask(start_control(who_am_i, anonymous_role=Role.VIEWER), None))
    assert (caller.name, caller.role, caller.authenticated) == ("anonymous", Role.VIEWER, False)


def test_a_table_that_cannot_be_made_is_an_error_at_the_other_end(start_control: StartControl) -> None:
    def refuse(caller: Caller) -> Methods:
        raise CommandRefusedError(f"Not today, {caller.name}.", safe="yes.", next_step="come tomorrow.")

    def fail(_: Caller) -> Methods:
        raise RuntimeError("the password is 1234")

    with pytest.raises(CommandRefusedError, match="Not today, anonymous"):
        ask(start_control(refuse), None)
    with pytest.raises(EucentricError, match="unforeseen") as caught:
        ask(start_control(fail), None)
    assert "1234" not in str(caught.value)


def test_unusable_credentials_are_refused_before_a_port_is_opened(site: Site, tmp_path: Path) -> None:
    good, other = site.server(), site.server()
    empty = tmp_path / "empty.pem"
    empty.touch(0o600)
    open_to_all = tmp_path / "key.pem"
    shutil.copy(good.key, open_to_all)
    open_to_all.chmod(0o644)
    cases: list[tuple[dict[str, Path], str]] = [
        ({"key": other.key}, "does not open certificate"),
        ({"key": tmp_path / "none.pem"}, "cannot be read: no such file"),
        ({"certificate": tmp_path / "none.pem"}, "cannot be read: no such file"),
        ({"certificate": empty}, "holds no certificate"),
        ({"authority": empty}, "holds no certificate"),
    ]
    if os.name != "nt":
        cases.append(({"key": open_to_all}, "is open to other users"))
    for change, words in cases:
        bad = good.model_copy(update=change)
        with pytest.raises(ConfigurationError, match=words):
            PyroControlServer({}, host="0.0.0.0", port=0, credentials=bad)  # noqa: S104
        with pytest.raises(ConfigurationError, match=words):
            PyroControlClient("127.0.0.1", 1, credentials=bad)
    with pytest.raises(ConfigurationError, match="both certificates and a token"):
        PyroControlServer({}, host="127.0.0.1", port=0, credentials=good, token="x")  # noqa: S106
    with pytest.raises(ConfigurationError, match="without keys"):
        PyroControlServer({}, host="0.0.0.0", port=0, token="x")  # noqa: S104, S106
