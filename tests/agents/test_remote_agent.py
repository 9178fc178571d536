"""An agent that other machines may reach: control and data are on the network, both only with keys."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from eucentric.certs import Authority
from eucentric_agents import Agent
from eucentric_agents.control import read_audit
from eucentric_agents.data import DataReport, describe_data
from eucentric_core import (
    AgentSettings,
    LeaseError,
    NotAuthorisedError,
    Role,
    ServiceUnavailableError,
    Settings,
    SteeringClient,
    TlsSettings,
    connect,
)
from eucentric_core.transport import DataAccess, PyroControlClient, StreamSubscriber, find_free_port
from eucentric_core.vocabulary import ColumnValve

from .rig import SMALL

Enter = Callable[[str], SteeringClient]


def files(folder: Path) -> TlsSettings:
    """What `eucentric certs issue` leaves for one person or machine."""
    revoked = folder / "revoked.pem"
    return TlsSettings(
        authority=folder / "authority.pem",
        certificate=folder / "certificate.pem",
        key=folder / "key.pem",
        revoked=revoked if revoked.exists() else None,
    )


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("certs") / "authority", name="site", days=2)


@pytest.fixture(scope="module")
def settings(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A running agent that listens on every address."""
    chosen = Settings(
        home=tmp_path_factory.mktemp("remote") / "home",
        agent=AgentSettings(
            name="scope",
            host="0.0.0.0",  # noqa: S104  (that is the point)
            tls=files(authority.issue("titan", hosts=["127.0.0.1"], days=1).folder),
            driver={**SMALL, "seed": 5},
            control_port=find_free_port(),
            data_port=find_free_port(),
            min_free_bytes=0,
        ),
    )
    with Agent(chosen):
        yield chosen


@pytest.fixture
def enter(settings: Settings, authority: Authority) -> Iterator[Enter]:
    """Connects somebody by name, with their own certificate."""
    with ExitStack() as opened:

        def enter(name: str) -> SteeringClient:
            folder = authority.folder / "issued" / name
            if not folder.exists():
                folder = authority.issue(name, role=Role(name.partition("-")[0]), days=1).folder
            scope = connect("127.0.0.1", settings.agent.control_port, client=name, credentials=files(folder))
            return opened.enter_context(scope)

        yield enter


def ask(settings: Settings, authority: Authority, name: str) -> Callable[[float], PyroControlClient]:
    """What opens a control channel in somebody's name."""
    folder = authority.folder / "issued" / name
    if not folder.exists():
        folder = authority.issue(name, role=Role(name.partition("-")[0]), days=1).folder

    def open_control(timeout_s: float) -> PyroControlClient:
        return PyroControlClient(
            "127.0.0.1", settings.agent.control_port, timeout_s=timeout_s, credentials=files(folder)
        )

    return open_control


def test_control_and_data_listen_everywhere_and_the_inner_doors_only_on_this_machine(
    settings: Settings,
) -> None:
    listening = [c.laddr for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    ours = {c.port for c in listening if c.ip == "0.0.0.0"}  # noqa: S104
    assert {settings.agent.control_port, settings.agent.data_port} <= ours
    inner = json.loads((settings.home / "run" / "agent-data.json").read_text())
    by_port = {address.port: address.ip for address in listening}
    assert by_port[inner["door_port"]] == by_port[inner["ingest_port"]] == "127.0.0.1"


def test_who_steers_has_their_frames_and_a_viewer_sees_them_too(
    enter: Enter, settings: Settings, authority: Authority
) -> None:
    access = DataAccess(ask(settings, authority, "viewer-vera"), client="vera")
    folder = authority.issue("scientist-lise", role=Role.SCIENTIST, days=1).folder
    with (
        StreamSubscriber(
            "127.0.0.1", settings.agent.data_port, streams=["haadf"], mode="newest", access=access
        ) as viewer,
        connect(
            "127.0.0.1",
            settings.agent.control_port,
            client="lise",
            data_port=settings.agent.data_port,
            credentials=files(folder),
        ) as scope,
        scope.control(reason="look"),
    ):
        viewer.wait_subscribed(20)
        scope.start_session("keys")
        scope.unblank(max_duration_s=60)
        frame = scope.scan(height_px=32, width_px=32)
        scope.blank()
        scope.stop_session()
        seen = viewer.receive(20)
        assert seen is not None
        assert (seen.frame().array == frame.array).all()


def test_without_a_key_from_the_agent_the_data_port_says_nothing(settings: Settings) -> None:
    with StreamSubscriber("127.0.0.1", settings.agent.data_port, mode="newest") as stranger:
        with pytest.raises(ServiceUnavailableError, match="No data service answers"):
            stranger.wait_subscribed(1.0)
        assert stranger.receive(0.1) is None


def test_the_keyed_channel_and_its_recorder_can_be_looked_at(
    settings: Settings, authority: Authority
) -> None:
    control = ask(settings, authority, "viewer-vera")(10)
    facts = control.call("data.status", {})
    control.close()
    report = DataReport.model_validate(facts)
    assert report.server.encrypted
    assert "recorder" in {subscriber.holder for subscriber in report.server.subscribers}
    line = describe_data(facts)
    assert "1 subscriber; encrypted" in line
    assert "recording" in line


def test_a_line_names_who_holds_the_source_back() -> None:
    subscriber = {"streams": ["haadf"], "address": "10.0.0.9", "holds_back_s": 12.0, "silent_s": 4.0}
    server = {"subscribers": [subscriber], "encrypted": True}
    shipper = {"state": "retrying", "pending_shards": 3, "pending_bytes": 2_000_000, "stuck": 1}
    line = describe_data({"server": server, "shipping": {"shipper": shipper}})
    assert "HELD BACK for 12 s by a reader of haadf on 10.0.0.9, silent for 4 s" in line
    assert "retrying, 3 shards (2 MB) to ship; 1 STUCK" in line


def test_a_viewer_sees_and_stops_and_does_not_steer(enter: Enter) -> None:
    viewer = enter("viewer-vera")
    assert viewer.state().beam_blanked
    viewer.blank()
    viewer.safe_stop()
    with pytest.raises(NotAuthorisedError, match="viewer"), viewer.control(reason="curious"):
        pass


def test_a_scientist_steers_under_the_name_of_the_certificate(enter: Enter, settings: Settings) -> None:
    scientist = enter("scientist-ada")
    with scientist.control(reason="align"):
        assert scientist.lease().holder == "scientist-ada"
        scientist.set_defocus(2e-9)
        with pytest.raises(NotAuthorisedError, match="operator"):
            scientist.execute(ColumnValve(open=False))
    records = read_audit(settings.home / "agent" / "audit.jsonl")
    assert {"scientist-ada", "viewer-vera"} <= {record.who for record in records}


def test_an_operator_uses_the_valve_and_takes_the_lease_from_a_scientist(enter: Enter) -> None:
    scientist, operator = enter("scientist-ada"), enter("operator-otto")
    hold = scientist.control(reason="align")
    hold.__enter__()
    scientist.unblank(max_duration_s=60)
    with operator.control(reason="closing time", take_over=True):
        assert operator.state().beam_blanked
        assert operator.lease().role is Role.OPERATOR
        operator.execute(ColumnValve(open=False))
        operator.execute(ColumnValve(open=True))
    with pytest.raises(LeaseError, match="operator-otto"):
        hold.__exit__(None, None, None)


def test_a_revoked_certificate_ends_at_once(enter: Enter, authority: Authority, settings: Settings) -> None:
    guest = enter("scientist-guest")
    assert guest.state().simulated
    authority.revoke("scientist-guest")
    tls = settings.agent.tls
    assert tls is not None
    assert tls.revoked is not None
    tls.revoked.write_bytes(authority.revocation_list.read_bytes())
    with pytest.raises(NotAuthorisedError, match="revoked"):
        guest.state()


def test_a_revoked_certificate_ends_a_running_subscription(settings: Settings, authority: Authority) -> None:
    tls = settings.agent.tls
    assert tls is not None
    assert tls.revoked is not None
    access = DataAccess(ask(settings, authority, "viewer-mole"), client="mole")
    witness = ask(settings, authority, "viewer-vera")(10)

    def subscribers() -> int:
        return len(DataReport.model_validate(witness.call("data.status", {})).server.subscribers)

    with StreamSubscriber("127.0.0.1", settings.agent.data_port, mode="lossless", access=access) as mole:
        mole.wait_subscribed(20)
        assert subscribers() == 2
        authority.revoke("viewer-mole")
        tls.revoked.write_bytes(authority.revocation_list.read_bytes())
        deadline_s = time.monotonic() + 20
        while subscribers() > 1:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
    with (
        StreamSubscriber("127.0.0.1", settings.agent.data_port, mode="lossless", access=access) as again,
        pytest.raises(NotAuthorisedError, match="revoked"),
    ):
        again.wait_subscribed(20)
    witness.close()
