"""Four roles, every method and every verb: who may, decided before anything is touched, and on record."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydantic import JsonValue

from eucentric.certs import Authority
from eucentric_agents.control import control_methods, needed_role
from eucentric_core import LeaseError, NotAuthorisedError, Role, TlsSettings, TransportError
from eucentric_core.transport import PyroControlClient, PyroControlServer
from eucentric_core.vocabulary import COMMANDS

from .steering_bench import Rig, envelope, sample_command, someone

METHODS = {
    "ping": Role.VIEWER,
    "describe": Role.VIEWER,
    "about": Role.VIEWER,
    "audit.read": Role.VIEWER,
    "data.open": Role.VIEWER,
    "data.status": Role.VIEWER,
    "shipping.status": Role.VIEWER,
    "shipping.retry": Role.OPERATOR,
    "flight_check.start": Role.OPERATOR,
    "flight_check.status": Role.VIEWER,
    "execute": Role.VIEWER,
    "safe_stop": Role.VIEWER,
    "lease.status": Role.VIEWER,
    "interlocks.show": Role.VIEWER,
    "lease.request": Role.SCIENTIST,
    "lease.renew": Role.SCIENTIST,
    "lease.present": Role.SCIENTIST,
    "lease.release": Role.SCIENTIST,
    "lease.hand_over": Role.SCIENTIST,
    "interlocks.tighten": Role.SCIENTIST,
}

WITHOUT_REQUEST = {
    "ping",
    "describe",
    "about",
    "audit.read",
    "lease.status",
    "interlocks.show",
    "data.status",
    "shipping.status",
    "shipping.retry",
    "flight_check.start",
    "flight_check.status",
}
"""What may be asked with an empty request."""

URGENT = {"beam.blank", "scan.abort", "stage.stop"}
OBSERVE = {"state.get", "stage.get"}
HAZARD = {"column.valve"}


def expected_role(verb: str) -> Role:
    """What the vocabulary's classes mean, written down a second time."""
    if verb in URGENT | OBSERVE:
        return Role.VIEWER
    return Role.OPERATOR if verb in HAZARD else Role.SCIENTIST


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("agent")) as opened:
        yield opened


def call(rig: Rig, role: Role, method: str, payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Call a method as the server does for a connection of this role."""
    methods = control_methods(
        rig.dispatcher,
        rig.bench.capabilities,
        lambda: "ready",
        ask_data=lambda method, _: {"asked": method},
        about=lambda _: {"asked": "about"},
        read_audit=lambda _: {"asked": "audit.read"},
    )
    return methods(someone(f"a-{role}", role))[method](payload)


def test_every_method_is_in_the_matrix(rig: Rig) -> None:
    table = control_methods(
        rig.dispatcher, rig.bench.capabilities, lambda: "ready", ask_data=lambda method, _: {"asked": method}
    )
    assert set(table(someone("ada"))) == set(METHODS)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("method", METHODS)
def test_who_may_call_a_method(rig: Rig, method: str, role: Role) -> None:
    rig.bench.received.clear()
    # Only who may is told what is wrong with an empty request.
    expected = ValueError if role.covers(METHODS[method]) else NotAuthorisedError
    if method in WITHOUT_REQUEST and role.covers(METHODS[method]):
        assert call(rig, role, method, {})
        return
    with pytest.raises(expected):
        call(rig, role, method, {})
    assert rig.bench.received == []
    if expected is NotAuthorisedError:
        refused = rig.records()[-1]
        assert (refused.who, refused.role, refused.action) == (f"a-{role}", role, method)
        assert refused.outcome == "refused"
        assert refused.details == {"address": "192.0.2.7", "fingerprint": "ab" * 32}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("verb", COMMANDS)
def test_who_may_give_a_command(rig: Rig, verb: str, role: Role) -> None:
    needed = expected_role(verb)
    assert needed_role("execute", COMMANDS[verb]) is needed
    caller = someone(f"a-{role}", role)
    command = sample_command(verb)
    rig.bench.received.clear()
    payload = envelope(caller, command).model_dump(mode="json")
    if not role.covers(needed):
        with pytest.raises(NotAuthorisedError, match=needed.value):
            call(rig, role, "execute", payload)
        assert rig.bench.received == []
        assert rig.told()[-1] == (f"a-{role}", verb, "refused")
    elif verb in URGENT | OBSERVE:
        call(rig, role, "execute", payload)
        assert rig.bench.received == ([command] if verb in URGENT - {"scan.abort"} else [])
    else:
        with pytest.raises(LeaseError):
            call(rig, role, "execute", payload)
        assert rig.bench.received == []
        grant = call(rig, role, "lease.request", {"client": caller.name, "reason": ""})
        epoch = grant["epoch"]
        assert isinstance(epoch, int)
        try:
            if verb == "session.stop":
                rig.ask(
                    caller, sample_command("session.start").model_copy(update={"session": f"s-{role}"}), epoch
                )
                rig.bench.received.clear()
            if verb == "session.start":
                command = command.model_copy(update={"session": f"t-{role}"})
            call(rig, role, "execute", envelope(caller, command, epoch).model_dump(mode="json"))
            assert rig.bench.received == [command]
        finally:
            call(rig, role, "lease.release", {"client": caller.name, "epoch": epoch})


def test_a_viewer_stops_everything_in_an_emergency(rig: Rig) -> None:
    before = rig.bench.made_safe
    call(rig, Role.VIEWER, "safe_stop", {"client": "a-viewer"})
    assert rig.bench.made_safe == before + 1
    assert rig.told()[-1] == ("a-viewer", "safe_stop", "done")


def test_refusals_do_not_fill_the_disk(tmp_path: Path) -> None:
    now_s = 100.0
    with Rig(tmp_path, clock=lambda: now_s) as rig:
        for _ in range(500):
            with pytest.raises(NotAuthorisedError):
                call(rig, Role.VIEWER, "lease.request", {"client": "eve", "reason": "again"})
        assert len(rig.records()) == 120
        now_s += 61
        with pytest.raises(NotAuthorisedError):
            call(rig, Role.VIEWER, "lease.request", {"client": "eve", "reason": "and again"})
        assert rig.records()[-1].details["refusals_not_kept"] == 380


Calls = Callable[[Role | str], PyroControlClient]


@pytest.fixture(scope="module")
def over_tls(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calls]:
    """The same agent behind mutual TLS; connects people with the role in their certificate, or without."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority.create(folder / "site", name="site", days=30)
    other = Authority.create(folder / "elsewhere", name="elsewhere", days=30)

    def credentials(issued: Path, *, service: bool = False) -> TlsSettings:
        return TlsSettings(
            authority=issued / "authority.pem",
            certificate=issued / "certificate.pem",
            key=issued / "key.pem",
            revoked=authority.revocation_list if service else None,
        )

    people = {str(role): authority.issue(f"a-{role}", role=role, days=30).folder for role in Role}
    people["revoked"] = authority.issue("gone", role=Role.ADMIN, days=30).folder
    people["stranger"] = other.issue("a-admin", role=Role.ADMIN, days=30).folder
    # Knows the site's authority, and is not known to it.
    shutil.copyfile(authority.folder / "authority.pem", people["stranger"] / "authority.pem")
    server = PyroControlServer(
        control_methods(rig.dispatcher, rig.bench.capabilities, lambda: "ready"),
        host="127.0.0.1",
        port=0,
        credentials=credentials(authority.issue("titan", hosts=["127.0.0.1"], days=30).folder, service=True),
    )
    serving = threading.Thread(target=server.serve)
    serving.start()
    with ExitStack() as opened:
        opened.callback(serving.join, timeout=10)
        opened.callback(server.stop)

        def client(who: Role | str) -> PyroControlClient:
            found = people.get(str(who))
            connected = PyroControlClient(
                *server.address, timeout_s=30, credentials=None if found is None else credentials(found)
            )
            opened.callback(connected.close)
            return connected

        assert client("revoked").call("ping", {})["state"] == "ready"
        authority.revoke("gone")
        yield client


@pytest.mark.parametrize("role", Role)
def test_over_tls_the_certificate_decides(rig: Rig, over_tls: Calls, role: Role) -> None:
    client = over_tls(role)
    me = someone(f"a-{role}", role)

    def give(verb: str, epoch: int | None = None) -> dict[str, JsonValue]:
        return client.call("execute", envelope(me, sample_command(verb), epoch).model_dump(mode="json"))

    give("state.get")
    give("beam.blank")
    client.call("safe_stop", {"client": me.name})
    last = rig.records()[-1]
    assert (last.who, last.role, last.action) == (f"a-{role}", role, "safe_stop")
    assert len(str(last.details["fingerprint"])) == 64
    if role is Role.VIEWER:
        with pytest.raises(NotAuthorisedError, match="needs the role scientist"):
            client.call("lease.request", {"client": me.name, "reason": ""})
        for verb in ("optics.defocus", "column.valve"):
            with pytest.raises(NotAuthorisedError):
                give(verb)
        return
    epoch = client.call("lease.request", {"client": me.name, "reason": ""})["epoch"]
    assert isinstance(epoch, int)
    try:
        give("optics.defocus", epoch)
        if role.covers(Role.OPERATOR):
            give("column.valve", epoch)
        else:
            with pytest.raises(NotAuthorisedError, match="needs the role operator"):
                give("column.valve", epoch)
    finally:
        client.call("lease.release", {"client": me.name, "epoch": epoch})


@pytest.mark.parametrize("who", ["nobody", "revoked", "stranger"])
def test_who_has_no_accepted_certificate_may_not_even_look(rig: Rig, over_tls: Calls, who: str) -> None:
    on_record = len(rig.records())
    for method in ("ping", "safe_stop"):
        with pytest.raises((NotAuthorisedError, TransportError)):
            over_tls(who).call(method, {"client": "eve"})
    assert len(rig.records()) == on_record
