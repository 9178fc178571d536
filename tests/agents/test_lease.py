"""Who may steer: one holder at a time, an epoch that never comes back, and a restart that trusts nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eucentric_agents.control import Identity, LeaseKeeper
from eucentric_core import (
    BusyError,
    Caller,
    DataFormatError,
    LeaseError,
    LeaseGrant,
    NotAuthorisedError,
    Role,
)

from .rig import wait_until


class Clock:
    """Monotonic seconds that a test turns by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def person(name: str, role: Role = Role.SCIENTIST, *, local: bool = False) -> Identity:
    """Somebody with a certificate, or at the instrument's console."""
    return Identity(Caller(name=name, role=role, local=local, authenticated=True), name)


ADA, BOB = person("ada"), person("bob")
OPERATOR = person("olga", Role.OPERATOR)
ADMIN = person("anna", Role.ADMIN)
CONSOLE = person("root", Role.OPERATOR, local=True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keeper(tmp_path: Path, clock: Clock) -> LeaseKeeper:
    return LeaseKeeper(tmp_path / "lease.json", duration_s=10, silence_s=2, clock=clock)


def take_over(keeper: LeaseKeeper, who: Identity, reason: str = "urgent") -> LeaseGrant:
    """What the agent does for somebody who insists, with an instrument that is safe at once."""
    if keeper.displace(who, reason, insist=True) is None:
        return keeper.request(who, reason)
    return keeper.succeed(who, reason)


def test_a_lease_belongs_to_one_client_until_it_is_released(keeper: LeaseKeeper) -> None:
    ada = keeper.request(ADA, "imaging")
    with pytest.raises(LeaseError, match="ada holds the lease"):
        keeper.request(BOB, "imaging too")
    with pytest.raises(LeaseError, match="bob does not hold the lease"):
        keeper.release(BOB, ada.epoch)
    status = keeper.status()
    assert (status.holder, status.role, status.local) == ("ada", Role.SCIENTIST, False)
    assert (status.reason, status.wanted_by) == ("imaging", ("bob",))
    keeper.release(ADA, ada.epoch)
    assert keeper.request(BOB, "my turn").epoch == ada.epoch + 1
    with pytest.raises(LeaseError, match="ada released it"):
        keeper.renew(ADA, ada.epoch)
    assert keeper.status().wanted_by == ()


def test_renewing_keeps_it_and_forgetting_to_loses_it(keeper: LeaseKeeper, clock: Clock) -> None:
    epoch = keeper.request(ADA, "").epoch
    for _ in range(4):
        clock.now_s += 9
        keeper.renew(ADA, epoch)
    keeper.check(ADA, epoch)
    assert keeper.take_lost() is None
    clock.now_s += 10
    with pytest.raises(LeaseError, match="lost the lease"):
        keeper.check(ADA, epoch)
    with pytest.raises(LeaseError):
        keeper.renew(ADA, epoch)
    assert keeper.status().holder is None


def test_being_present_does_not_renew_it(keeper: LeaseKeeper, clock: Clock) -> None:
    epoch = keeper.request(ADA, "").epoch
    for _ in range(19):
        clock.now_s += 0.5
        keeper.present(ADA, epoch)
    clock.now_s += 0.5
    with pytest.raises(LeaseError, match="lost the lease"):
        keeper.present(ADA, epoch)


def test_a_silent_holder_is_noticed_once_and_told_when_they_are_back(
    keeper: LeaseKeeper, clock: Clock
) -> None:
    epoch = keeper.request(ADA, "").epoch
    clock.now_s += 1.9
    assert keeper.take_silent() is None
    keeper.heard(ADA, epoch)
    clock.now_s += 1.9
    assert keeper.take_silent() is None
    clock.now_s += 0.1
    silent = keeper.take_silent()
    assert silent is not None
    assert silent.holder == "ada"
    assert keeper.take_silent() is None
    keeper.note_made_safe("ada was not heard of")
    assert keeper.present(ADA, epoch).made_safe == "ada was not heard of"
    assert keeper.present(ADA, epoch).made_safe is None
    clock.now_s += 2
    assert keeper.take_silent() is not None


def test_only_a_call_with_the_epoch_shows_that_the_holder_is_there(keeper: LeaseKeeper, clock: Clock) -> None:
    epoch = keeper.request(ADA, "").epoch
    clock.now_s += 2
    # The same person may watch from another window while the one that steers hangs.
    keeper.heard(ADA, None)
    keeper.heard(BOB, epoch)
    keeper.heard(ADA, epoch - 1)
    assert keeper.take_silent() is not None


def test_nobody_steers_while_the_instrument_is_being_made_safe(keeper: LeaseKeeper, clock: Clock) -> None:
    keeper.request(ADA, "")
    clock.now_s += 11
    with pytest.raises(LeaseError, match="just lost"):
        keeper.request(BOB, "")
    lost = keeper.take_lost()
    assert lost is not None
    assert lost.holder == "ada"
    with pytest.raises(LeaseError):
        keeper.request(BOB, "")
    with pytest.raises(LeaseError):
        take_over(keeper, CONSOLE)
    assert keeper.end_lost()
    assert keeper.request(BOB, "").epoch == lost.epoch + 1


@pytest.mark.parametrize("epoch", [None, 1, 3])
def test_only_the_present_epoch_passes(keeper: LeaseKeeper, epoch: int | None) -> None:
    keeper.release(ADA, keeper.request(ADA, "").epoch)
    keeper.check(BOB, keeper.request(BOB, "").epoch)
    with pytest.raises(LeaseError):
        keeper.check(BOB, epoch)


def test_the_epoch_is_worth_nothing_in_other_hands(keeper: LeaseKeeper) -> None:
    epoch = keeper.request(ADA, "").epoch
    stranger = Identity(Caller(name="anonymous", role=Role.ADMIN), "ada")
    other_window = Identity(ADA.caller, "other window")
    assert stranger.name == ADA.name
    assert other_window.name == "ada/other window"
    for who in (BOB, stranger, other_window):
        with pytest.raises(LeaseError, match="does not hold"):
            keeper.check(who, epoch)


@pytest.mark.parametrize(
    ("taker", "holder", "may"),
    [
        (BOB, ADA, False),
        (OPERATOR, ADA, True),
        (ADMIN, ADA, True),
        (OPERATOR, person("otto", Role.OPERATOR), False),
        (ADMIN, OPERATOR, True),
        (ADMIN, person("arne", Role.ADMIN), False),
        (CONSOLE, ADMIN, True),
        (CONSOLE, person("other", Role.OPERATOR, local=True), True),
        (ADMIN, CONSOLE, False),
    ],
)
def test_a_lease_is_taken_over_by_rank_and_by_whoever_stands_at_the_instrument(
    keeper: LeaseKeeper, taker: Identity, holder: Identity, may: bool
) -> None:
    old = keeper.request(holder, "slow work")
    if not may:
        with pytest.raises(NotAuthorisedError, match="cannot be taken over"):
            take_over(keeper, taker)
        keeper.check(holder, old.epoch)
        return
    new = take_over(keeper, taker, "the sample drifts away")
    assert (new.holder, new.epoch) == (taker.name, old.epoch + 1)
    keeper.check(taker, new.epoch)
    with pytest.raises(LeaseError, match=rf"{taker.name} .*took the lease over, for the sample drifts away"):
        keeper.renew(holder, old.epoch)


def test_the_console_preempts_without_insisting_but_not_another_window_of_its_own(
    keeper: LeaseKeeper,
) -> None:
    keeper.request(ADMIN, "")
    displaced = keeper.displace(CONSOLE, "here I am", insist=False)
    assert displaced is not None
    assert displaced.holder == "anna"
    keeper.succeed(CONSOLE, "here I am")
    second = Identity(CONSOLE.caller, "second window")
    assert keeper.displace(second, "", insist=False) is None
    with pytest.raises(LeaseError, match="root holds"):
        keeper.request(second, "")


def test_between_taking_and_succeeding_nobody_has_it(keeper: LeaseKeeper, clock: Clock) -> None:
    old = keeper.request(ADA, "")
    keeper.displace(OPERATOR, "my turn", insist=True)
    with pytest.raises(LeaseError, match=r"olga \(operator\) took the lease over"):
        keeper.check(ADA, old.epoch)
    for who in (BOB, ADMIN):
        with pytest.raises(LeaseError, match="just lost"):
            take_over(keeper, who)
    assert keeper.status().holder is None
    clock.now_s += 60
    assert keeper.take_lost() is None
    # The instrument could not be made safe: the watchdog goes on with it.
    keeper.leave_to_watchdog()
    assert keeper.take_lost() is not None
    assert keeper.end_lost()
    assert keeper.request(BOB, "").epoch == old.epoch + 1


def test_a_lease_that_is_offered_changes_hands_at_once(keeper: LeaseKeeper, clock: Clock) -> None:
    ada = keeper.request(ADA, "")
    assert keeper.offer(ADA, ada.epoch, "bob").offered_to == "bob"
    keeper.check(ADA, ada.epoch)
    with pytest.raises(LeaseError):
        keeper.request(person("eve"), "me first")
    bob = keeper.request(BOB, "thank you")
    assert bob.epoch == ada.epoch + 1
    with pytest.raises(LeaseError, match="ada handed the lease over to bob"):
        keeper.check(ADA, ada.epoch)

    keeper.offer(BOB, bob.epoch, "ada")
    keeper.offer(BOB, bob.epoch, None)
    with pytest.raises(LeaseError):
        keeper.request(ADA, "")
    keeper.offer(BOB, bob.epoch, "ada")
    for _ in range(6):
        clock.now_s += 5
        keeper.renew(BOB, bob.epoch)
    assert keeper.status().offered_to is None
    with pytest.raises(LeaseError):
        keeper.request(ADA, "too late")


def test_no_lease_is_given_while_a_command_under_an_older_one_is_at_the_driver(keeper: LeaseKeeper) -> None:
    ada = keeper.request(ADA, "")
    entered, go_on = threading.Event(), threading.Event()

    def command() -> None:
        with keeper.at_driver(ADA, ada.epoch, "stage.move"):
            entered.set()
            assert go_on.wait(20)

    with ThreadPoolExecutor() as threads:
        running = threads.submit(command)
        assert entered.wait(30)
        assert not keeper.release(ADA, ada.epoch)
        with pytest.raises(LeaseError, match="ada released it"):
            keeper.check(ADA, ada.epoch)
        keeper.end_release()
        with pytest.raises(BusyError, match=r"stage\.move of ada"):
            keeper.request(BOB, "")
        waiting = threads.submit(keeper.request, BOB, "")
        wait_until(lambda: not waiting.done())
        go_on.set()
        running.result(timeout=10)
        assert waiting.result(timeout=10).epoch == ada.epoch + 1


def test_after_a_restart_the_old_lease_is_void_and_its_epoch_is_never_given_again(
    keeper: LeaseKeeper, tmp_path: Path
) -> None:
    old = keeper.request(ADA, "").epoch
    restarted = LeaseKeeper(tmp_path / "lease.json")
    with pytest.raises(LeaseError):
        restarted.check(ADA, old)
    assert restarted.request(BOB, "").epoch == old + 1


@pytest.mark.parametrize("content", ["", "{}", '{"epoch": "two"}', '{"epoch": -1}', '{"epoch": true}', "[1]"])
def test_a_damaged_lease_file_stops_the_start(tmp_path: Path, content: str) -> None:
    path = tmp_path / "lease.json"
    path.write_text(content)
    with pytest.raises(DataFormatError, match=r"lease\.json"):
        LeaseKeeper(path)


def test_who_waits_is_shown_for_a_while_and_their_number_is_bounded(
    keeper: LeaseKeeper, clock: Clock
) -> None:
    epoch = keeper.request(ADA, "").epoch

    def ask(name: str) -> Callable[[], object]:
        return lambda: keeper.request(person(name), "")

    for number in range(12):
        with pytest.raises(LeaseError):
            ask(f"guest-{number}")()
    assert keeper.status().wanted_by == tuple(f"guest-{number}" for number in range(4, 12))
    for _ in range(4):
        clock.now_s += 8
        keeper.renew(ADA, epoch)
    assert keeper.status().wanted_by == ()


def test_a_free_lease_is_wanted_by_nobody_any_more(keeper: LeaseKeeper, clock: Clock) -> None:
    epoch = keeper.request(ADA, "").epoch
    with pytest.raises(LeaseError):
        keeper.request(BOB, "")
    assert keeper.status().wanted_by == ("bob",)
    keeper.release(ADA, epoch)
    assert (keeper.status().holder, keeper.status().wanted_by) == (None, ())
    keeper.request(ADA, "")
    with pytest.raises(LeaseError):
        keeper.request(BOB, "")
    clock.now_s += 10
    assert (keeper.status().holder, keeper.status().wanted_by) == (None, ())


def test_the_holders_second_window_is_nobody_else_who_asks(keeper: LeaseKeeper) -> None:
    second = Identity(ADA.caller, "notebook")
    keeper.request(ADA, "")
    for asker in (second, ADA, person("ada", local=True), BOB):
        with pytest.raises(LeaseError):
            keeper.request(asker, "")
    # Somebody at the console may have chosen the same name.
    assert keeper.status().wanted_by == ("ada", "bob")
