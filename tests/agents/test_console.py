"""Whoever stands at the instrument: steers before anybody far away, and needs no certificate for it."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydantic import JsonValue
from typer.testing import CliRunner

from eucentric.certs import Authority
from eucentric_agents import Agent
from eucentric_agents._cli import app
from eucentric_agents._console import read_console
from eucentric_agents.control import read_audit
from eucentric_core import (
    AgentSettings,
    ClientSettings,
    CommandRefusedError,
    ConfigurationError,
    InterlockError,
    LeaseError,
    LeaseStatus,
    NotAuthorisedError,
    Role,
    Settings,
    TlsSettings,
    TransportError,
)
from eucentric_core.transport import PyroControlClient, find_free_port
from eucentric_core.vocabulary import BeamUnblank, Command, StateGet

from .rig import SMALL, wait_until
from .steering_bench import envelope, someone

Connect = Callable[[Role | None], PyroControlClient]


def files(folder: Path, **more: Path) -> TlsSettings:
    """What `eucentric certs issue` has put into a folder."""
    names = {"authority": "authority.pem", "certificate": "certificate.pem", "key": "key.pem"}
    return TlsSettings.model_validate({**{key: folder / name for key, name in names.items()}, **more})


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TlsSettings]:
    """Credentials by role, and those of the control PC."""
    authority = Authority.create(tmp_path_factory.mktemp("site") / "authority", name="site", days=30)
    machine = authority.issue("titan", hosts=["127.0.0.1"], days=30).folder
    found = {str(role): files(authority.issue(f"a-{role}", role=role, days=30).folder) for role in Role}
    return {**found, "machine": files(machine, revoked=authority.revocation_list)}


@pytest.fixture(scope="module")
def machine(people: dict[str, TlsSettings], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A control PC with mutual TLS, whose agent runs."""
    settings = Settings(
        home=tmp_path_factory.mktemp("machine") / "home",
        agent=AgentSettings(
            name="scope",
            driver=SMALL,
            control_port=find_free_port(),
            data_port=find_free_port(),
            min_free_bytes=0,
            tls=people["machine"],
        ),
        client=ClientSettings(tls=people["viewer"]),
    )
    with Agent(settings):
        yield settings
    with pytest.raises(ConfigurationError, match="local console"):
        read_console(settings.home)


@pytest.fixture
def connect(machine: Settings, people: dict[str, TlsSettings]) -> Iterator[Connect]:
    """Connects with a certificate of a role, or at the console."""
    with ExitStack() as opened:

        def connector(role: Role | None) -> PyroControlClient:
            if role is None:
                port, token = read_console(machine.home)
                client = PyroControlClient("127.0.0.1", port, token=token)
            else:
                client = PyroControlClient(
                    machine.agent.host, machine.agent.control_port, credentials=people[str(role)]
                )
            opened.callback(client.close)
            return client

        yield connector
        connector(None).call("safe_stop", {"client": "tidy"})


def give(client: PyroControlClient, label: str, command: Command, epoch: int | None) -> dict[str, JsonValue]:
    """Give a command under a label."""
    return client.call("execute", envelope(someone(label), command, epoch).model_dump(mode="json"))


def request(client: PyroControlClient, label: str, **more: JsonValue) -> int:
    """Ask for the lease; its epoch."""
    epoch = client.call("lease.request", {"client": label, "reason": "work", **more})["epoch"]
    assert isinstance(epoch, int)
    return epoch


def status(client: PyroControlClient) -> LeaseStatus:
    return LeaseStatus.model_validate(client.call("lease.status", {}))


def test_the_token_is_for_this_user_alone(machine: Settings) -> None:
    file = machine.home / "run" / "agent-console.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    port, _ = read_console(machine.home)
    for token in (None, "guessed"):
        client = PyroControlClient("127.0.0.1", port, token=token)
        with pytest.raises((NotAuthorisedError, TransportError)):
            client.call("ping", {})
        client.close()


def test_the_console_preempts_even_an_admin_and_is_not_displaced_from_far_away(
    machine: Settings, connect: Connect
) -> None:
    admin, console = connect(Role.ADMIN), connect(None)
    epoch = request(admin, "laptop")
    assert status(console).holder == "a-admin/laptop"
    give(admin, "laptop", BeamUnblank(max_duration_s=600), epoch)
    assert give(console, "desk", StateGet(), None)["beam_blanked"] is False
    mine = request(console, "desk")
    assert mine == epoch + 1
    assert give(admin, "laptop", StateGet(), None)["beam_blanked"] is True
    with pytest.raises(LeaseError, match=r"desk at the instrument itself took the lease over, for work"):
        give(admin, "laptop", BeamUnblank(max_duration_s=600), epoch)
    with pytest.raises(NotAuthorisedError, match="steers at the instrument itself"):
        request(admin, "laptop", take_over=True)
    seen = status(admin)
    assert (seen.local, seen.role, seen.epoch) == (True, Role.OPERATOR, mine)
    # Unless it is given to them.
    console.call("lease.hand_over", {"client": "desk", "epoch": mine, "to": "a-admin"})
    given = request(admin, "laptop")
    admin.call("lease.release", {"client": "laptop", "epoch": given})
    records = list(read_audit(machine.home / "agent" / "audit.jsonl"))
    taken = next(record for record in records if record.action == "lease.taken_over")
    assert taken.details["from"] == "a-admin/laptop"
    assert (taken.details["beam_blanked"], taken.details["scanning"]) == (True, False)


def write_config(path: Path, machine: Settings, *, host: str = "127.0.0.1", client: bool = True) -> Path:
    """The settings file of the control PC, with or without a certificate of who asks."""
    tls: dict[str, object] = {key: str(value) for key, value in machine.agent.tls or () if value is not None}
    own: dict[str, object] = {key: str(value) for key, value in machine.client.tls or () if value is not None}
    sections: dict[str, dict[str, object]] = {
        "agent": {
            "host": host,
            "control_port": machine.agent.control_port,
            "data_port": machine.agent.data_port,
        },
        "agent.tls": tls,
        **({"client.tls": own} if client else {}),
    }
    lines = [f"home = {json.dumps(str(machine.home))}"]
    for section, values in sections.items():
        lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_status_tells_a_viewer_and_the_one_at_the_console_what_there_is_to_know(
    machine: Settings, connect: Connect, tmp_path: Path
) -> None:
    config = write_config(tmp_path / "eucentric.toml", machine)
    holder = connect(Role.SCIENTIST)
    epoch = request(holder, "notebook")
    holder.call("lease.hand_over", {"client": "notebook", "epoch": epoch, "to": "bob"})
    for flags in ([], ["--console"]):
        shown = CliRunner(env={"COLUMNS": "160"}).invoke(app, ["status", "--config", str(config), *flags])
        assert shown.exit_code == 0, (shown.output, shown.stderr)
        for text in ("SIMULATED", "a-scientist/notebook (scientist)", "bob", "ready"):
            assert text in shown.output
        assert "stage ranges only (no interlocks file)" in shown.output
        facts = json.loads(
            CliRunner().invoke(app, ["status", "--config", str(config), *flags, "--json"]).stdout
        )
        assert facts["lease"]["offered_to"] == "bob"
        assert facts["interlocks"]["trips"] == []
    holder.call("lease.release", {"client": "notebook", "epoch": epoch})


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104
@pytest.mark.parametrize("client", [True, False], ids=["certificate", "no-certificate"])
def test_status_finds_an_agent_on_every_address_and_falls_back_to_the_console(
    machine: Settings, tmp_path: Path, host: str, client: bool
) -> None:
    config = write_config(tmp_path / "eucentric.toml", machine, host=host, client=client)
    answer = CliRunner().invoke(app, ["status", "--config", str(config), "--json"])
    assert answer.exit_code == 0, answer.stderr
    asked = json.loads(answer.stdout)["asked"]
    assert asked == "network" if client else asked.startswith("local console; over the network: ")
    assert client or "have none (client.tls)" in asked


def test_without_certificate_and_console_status_says_what_is_missing(
    machine: Settings, tmp_path: Path
) -> None:
    elsewhere = machine.model_copy(update={"home": tmp_path / "elsewhere"})
    config = write_config(tmp_path / "eucentric.toml", elsewhere, client=False)
    answer = CliRunner().invoke(app, ["status", "--config", str(config)])
    assert answer.exit_code == 2
    assert "have none (client.tls)" in answer.stderr


def test_a_scientist_tightens_the_limits_for_everyone_and_a_limit_that_is_reached_ends_the_beam(
    machine: Settings, connect: Connect
) -> None:
    scientist, console, viewer = connect(Role.SCIENTIST), connect(None), connect(Role.VIEWER)
    with pytest.raises(NotAuthorisedError):
        viewer.call("interlocks.tighten", {"client": "tv", "limits": {"beam": {"max_unblank_s": 1.0}}})
    epoch = request(console, "desk")
    holding: dict[str, JsonValue] = {"client": "desk", "epoch": epoch}
    tighter: dict[str, JsonValue] = {"client": "nb", "limits": {"beam": {"max_unblank_s": 30.0}}}
    scientist.call("interlocks.tighten", tighter)
    with pytest.raises(InterlockError):
        give(console, "desk", BeamUnblank(max_duration_s=31), epoch)
    with pytest.raises(CommandRefusedError):
        scientist.call("interlocks.tighten", {"client": "nb", "limits": {"beam": {"max_unblank_s": 60.0}}})
    give(console, "desk", BeamUnblank(max_duration_s=30), epoch)
    scientist.call("interlocks.tighten", {"client": "nb", "limits": {"dose": {"session_beam_on_s": 1.0}}})

    log = machine.home / "agent" / "audit.jsonl"

    def tripped() -> bool:
        console.call("lease.present", holding)
        return any(record.action == "interlock.trip" for record in read_audit(log))

    wait_until(tripped)
    assert viewer.call("interlocks.show", {})["trips"]
    state = give(viewer, "tv", StateGet(), None)
    assert state["beam_blanked"] is True
    assert isinstance(state["fault"], dict)
    assert state["fault"]["code"] == "interlock"
    console.call("lease.release", holding)
    told = [(r.who, r.action, r.outcome) for r in read_audit(log)]
    assert ("a-scientist/nb", "interlocks.tighten", "done") in told
    assert ("a-scientist/nb", "interlocks.tighten", "refused") in told
    assert ("a-viewer/tv", "interlocks.tighten", "refused") in told
    assert told.count(("agent", "interlock.trip", "done")) == 1
