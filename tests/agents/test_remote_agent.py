"""An agent that other machines may reach: control with keys on the network, data without keys only here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from eucentric.certs import Authority
from eucentric_agents import Agent
from eucentric_agents.control import read_audit
from eucentric_core import (
    AgentSettings,
    LeaseError,
    NotAuthorisedError,
    Role,
    Settings,
    SteeringClient,
    TlsSettings,
    connect,
)
from eucentric_core.transport import find_free_port
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


def test_control_listens_everywhere_and_data_only_on_this_machine(settings: Settings) -> None:
    listening = {
        connection.laddr.port: connection.laddr.ip
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening[settings.agent.control_port] == "0.0.0.0"  # noqa: S104
    assert listening[settings.agent.data_port] == "127.0.0.1"


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
