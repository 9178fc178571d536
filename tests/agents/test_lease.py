"""Who may steer: one holder at a time, an epoch that never comes back, and a restart that trusts nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from eucentric_agents.control import LeaseKeeper
from eucentric_core import DataFormatError, LeaseError


class Clock:
    """Monotonic seconds that a test turns by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keeper(tmp_path: Path, clock: Clock) -> LeaseKeeper:
    return LeaseKeeper(tmp_path / "lease.json", duration_s=10, clock=clock)


def test_a_lease_belongs_to_one_client_until_it_is_released(keeper: LeaseKeeper) -> None:
    ada = keeper.request("ada")
    with pytest.raises(LeaseError, match="ada holds the lease"):
        keeper.request("bob")
    with pytest.raises(LeaseError):
        keeper.release("bob", ada.epoch)
    keeper.release("ada", ada.epoch)
    assert keeper.request("bob").epoch == ada.epoch + 1
    with pytest.raises(LeaseError):
        keeper.renew("ada", ada.epoch)


def test_renewing_keeps_it_and_forgetting_to_loses_it(keeper: LeaseKeeper, clock: Clock) -> None:
    epoch = keeper.request("ada").epoch
    for _ in range(4):
        clock.now_s += 9
        keeper.renew("ada", epoch)
    keeper.check(epoch)
    assert keeper.take_lost() is None
    clock.now_s += 10
    with pytest.raises(LeaseError, match="lost the lease"):
        keeper.check(epoch)
    with pytest.raises(LeaseError):
        keeper.renew("ada", epoch)
    assert keeper.status().holder is None


def test_nobody_steers_while_the_instrument_is_being_made_safe(keeper: LeaseKeeper, clock: Clock) -> None:
    keeper.request("ada")
    clock.now_s += 11
    with pytest.raises(LeaseError, match="just lost"):
        keeper.request("bob")
    lost = keeper.take_lost()
    assert lost is not None
    assert lost.holder == "ada"
    with pytest.raises(LeaseError):
        keeper.request("bob")
    keeper.end_lost()
    assert keeper.request("bob").epoch == lost.epoch + 1


@pytest.mark.parametrize("epoch", [None, 1, 3])
def test_only_the_present_epoch_passes(keeper: LeaseKeeper, epoch: int | None) -> None:
    keeper.release("ada", keeper.request("ada").epoch)
    keeper.check(keeper.request("bob").epoch)
    with pytest.raises(LeaseError):
        keeper.check(epoch)


def test_after_a_restart_the_old_lease_is_void_and_its_epoch_is_never_given_again(
    keeper: LeaseKeeper, tmp_path: Path
) -> None:
    old = keeper.request("ada").epoch
    restarted = LeaseKeeper(tmp_path / "lease.json")
    with pytest.raises(LeaseError):
        restarted.check(old)
    assert restarted.request("bob").epoch == old + 1


@pytest.mark.parametrize("content", ["", "{}", '{"epoch": "two"}', '{"epoch": -1}', "[1]"])
def test_a_damaged_lease_file_stops_the_start(tmp_path: Path, content: str) -> None:
    path = tmp_path / "lease.json"
    path.write_text(content)
    with pytest.raises(DataFormatError, match=r"lease\.json"):
        LeaseKeeper(path)
