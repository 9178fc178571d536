"""Two to eight clients do what they like with the lease, and exactly one epoch ever reaches the driver."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from eucentric_agents.control import Identity
from eucentric_core import Caller, CommandEnvelope, EucentricError, LeaseError, NotAuthorisedError, Role
from eucentric_core.vocabulary import OpticsDefocus

from .steering_bench import Bench, Rig, envelope, someone

LEASE_S, SILENCE_S, OFFER_S = 10.0, 2.0, 30.0
ROLES = st.sampled_from([Role.SCIENTIST, Role.SCIENTIST, Role.OPERATOR, Role.ADMIN])
STEP_M = 1e-9


@dataclass
class Holding:
    """What the clients' own account of the lease says."""

    client: int
    epoch: int
    expires_s: float
    heard_s: float
    offered_to: str | None = None
    offer_ends_s: float = 0.0
    silent: bool = False


class Clients(RuleBasedStateMachine):
    """Clients with roles, one of them maybe at the console; the present holder as they would have it."""

    past = Bundle("past")
    packets = Bundle("packets")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="lease-"))
        self.now_s = 1000.0
        self.bench = Bench()
        self.rig = Rig(self.folder, bench=self.bench, clock=lambda: self.now_s)
        self.callers: list[Caller] = []
        self.holding: Holding | None = None
        self.epochs: list[int] = []
        self.numbers = itertools.count(1)
        self.sent: dict[float, tuple[int, int]] = {}
        self.answered: set[str] = set()
        self.seen = 0

    def teardown(self) -> None:
        self.rig.__exit__(None, None, None)
        shutil.rmtree(self.folder)

    @initialize(roles=st.lists(ROLES, min_size=2, max_size=8), console=st.booleans(), target=past)
    def arrive(self, roles: list[Role], console: bool) -> tuple[int, int]:
        self.callers = [someone(f"client-{number}", role) for number, role in enumerate(roles)]
        if console:
            self.callers[0] = someone("client-0", Role.OPERATOR, local=True)
        return 0, 1

    def _client(self, number: int) -> int:
        return number % len(self.callers)

    def _who(self, client: int) -> Identity:
        return Identity(self.callers[client], self.callers[client].name)

    def _valid(self, client: int, epoch: int) -> bool:
        held = self.holding
        return (
            held is not None and (held.client, held.epoch) == (client, epoch) and self.now_s < held.expires_s
        )

    def _hear(self) -> None:
        assert self.holding is not None
        self.holding.heard_s, self.holding.silent = self.now_s, False

    def _expected(self, client: int, take_over: bool) -> type[EucentricError] | str:
        """What a request must come to: an error, or how it is granted."""
        held = self.holding
        if held is None:
            return "free"
        if self.now_s >= held.expires_s:
            return LeaseError
        asking, holder = self.callers[client], self.callers[held.client]
        offered = held.offered_to if self.now_s < held.offer_ends_s else None
        if offered == asking.name and client != held.client:
            return "handed over"
        if not take_over and (holder.local or not asking.local):
            return LeaseError
        if asking.local or (not holder.local and asking.role.rank > holder.role.rank):
            return "taken over"
        return NotAuthorisedError

    @rule(number=st.integers(0, 7), take_over=st.booleans(), target=past)
    def request(self, number: int, take_over: bool) -> object:
        client = self._client(number)
        expected = self._expected(client, take_over)
        safe_before = self.bench.made_safe
        if not isinstance(expected, str):
            with pytest.raises(expected):
                self.rig.lease(self.callers[client], take_over=take_over)
            return multiple()
        epoch = self.rig.lease(self.callers[client], take_over=take_over)
        assert self.bench.made_safe - safe_before == (1 if expected == "taken over" else 0)
        assert epoch > max(self.epochs, default=0)
        self.epochs.append(epoch)
        self.holding = Holding(client, epoch, self.now_s + LEASE_S, self.now_s)
        return client, epoch

    def _call_as_holder(self, number: int, grant: tuple[int, int], what: str, to: int = 0) -> None:
        client, epoch = self._client(number), grant[1]
        valid = self._valid(client, epoch)
        leases, who = self.rig.dispatcher.leases, self._who(client)
        try:
            if what == "renew":
                leases.renew(who, epoch)
            elif what == "present":
                leases.present(who, epoch)
            elif what == "release":
                leases.release(who, epoch)
            else:
                leases.hand_over(who, epoch, self.callers[self._client(to)].name)
        except LeaseError:
            assert not valid
            return
        assert valid
        assert self.holding is not None
        self._hear()
        if what == "renew":
            self.holding.expires_s = self.now_s + LEASE_S
        elif what == "release":
            self.holding = None
        elif what == "hand over":
            self.holding.offered_to = self.callers[self._client(to)].name
            self.holding.offer_ends_s = self.now_s + OFFER_S

    @rule(
        grant=past, what=st.sampled_from(["renew", "present", "release", "hand over"]), to=st.integers(0, 7)
    )
    def call_as_who_was_granted(self, grant: tuple[int, int], what: str, to: int) -> None:
        self._call_as_holder(grant[0], grant, what, to)

    @rule(number=st.integers(0, 7), grant=past, what=st.sampled_from(["renew", "present", "release"]))
    def call_with_a_stolen_epoch(self, number: int, grant: tuple[int, int], what: str) -> None:
        self._call_as_holder(number, grant, what)

    @rule(grant=past, target=packets)
    def put_a_command_on_the_way(self, grant: tuple[int, int]) -> tuple[int, CommandEnvelope]:
        client, epoch = grant
        number = next(self.numbers)
        command = OpticsDefocus(defocus_m=number * STEP_M)
        self.sent[command.defocus_m] = (client, epoch)
        return client, envelope(self.callers[client], command, epoch)

    @rule(packet=packets)
    def deliver(self, packet: tuple[int, CommandEnvelope]) -> None:
        """In any order, long after it was sent, and as often as the network likes."""
        client, sent = packet
        assert sent.lease_epoch is not None
        received = len(self.bench.received)
        repeated = sent.idempotency_key in self.answered
        valid = self._valid(client, sent.lease_epoch)
        try:
            self.rig.dispatcher.execute(sent, self.callers[client])
        except LeaseError:
            assert not valid
            assert not repeated
            assert len(self.bench.received) == received
            return
        if repeated:
            assert len(self.bench.received) == received
            return
        assert valid
        assert self.bench.received[received:] == [sent.command]
        self.answered.add(sent.idempotency_key)
        self._hear()

    @rule(seconds=st.sampled_from([0.3, 1.0, 2.0, 3.0, 9.0, 11.0, 40.0]), watched=st.booleans())
    def time_passes(self, seconds: float, watched: bool) -> None:
        """Without the watchdog's turn it is the agent that was paused."""
        self.now_s += seconds
        if watched:
            self.watchdog_looks()

    @rule()
    def watchdog_looks(self) -> None:
        held, safe_before = self.holding, self.bench.made_safe
        self.rig.dispatcher.enforce_limits()
        made_safe = self.bench.made_safe - safe_before
        if held is None:
            assert made_safe == 0
        elif self.now_s >= held.expires_s:
            assert made_safe == 1
            assert self.rig.told()[-1] == ("agent", "lease.lost", "done")
            self.holding = None
        elif self.now_s - held.heard_s >= SILENCE_S and not held.silent:
            assert made_safe == 1
            assert self.rig.told()[-1] == ("agent", "lease.silent", "done")
            held.silent = True
        else:
            assert made_safe == 0

    @rule()
    def the_agent_restarts(self) -> None:
        assume(self.epochs)
        self.rig.__exit__(None, None, None)
        self.rig = Rig(self.folder, bench=self.bench, clock=lambda: self.now_s)
        self.holding = None
        self.answered.clear()

    @invariant()
    def one_epoch_at_the_driver(self) -> None:
        accepted = [command for command in self.bench.received if isinstance(command, OpticsDefocus)]
        for command in accepted[self.seen :]:
            held = self.holding
            assert held is not None
            assert self.sent[command.defocus_m] == (held.client, held.epoch)
        self.seen = len(accepted)
        epochs = [self.sent[command.defocus_m][1] for command in accepted]
        assert epochs == sorted(epochs)

    @invariant()
    def what_everyone_sees_is_what_is_so(self) -> None:
        status = self.rig.dispatcher.leases.status()
        held = self.holding
        if held is None or self.now_s >= held.expires_s:
            assert status.holder is None
            return
        assert (status.holder, status.epoch) == (self.callers[held.client].name, held.epoch)
        assert status.role is self.callers[held.client].role


TestClients = Clients.TestCase
TestClients.settings = settings(
    max_examples=100,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
