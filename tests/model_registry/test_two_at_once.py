"""Two people promote at once: one wins, the other is told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from eucentric_core.transport import find_free_port
from eucentric_model_registry import ChampionMovedError, Moved, Registry, Seen, move_champion

from .hub import Hub

pytestmark = pytest.mark.slow


@pytest.fixture
def hub(tmp_path: Path, mlflow_url: str, name: str) -> Hub:
    made = Hub(tmp_path, mlflow_url, name, find_free_port())
    for version in (1, 2, 3):
        made.register(version)
    made.move(1)
    return made


def promote(hub: Hub, version: int, who: str, seen: Seen) -> Moved:
    registry = Registry(hub.settings.hub.mlflow_url, hub.trusted)
    return move_champion(
        hub.settings, registry, hub.name, version, reason=f"{who} says so", who=who, seen=seen
    )


def test_of_two_who_saw_the_same_champion_one_moves_it_and_the_other_learns_who(hub: Hub) -> None:
    seen, ready = Seen.now(hub.registry, hub.name), Barrier(2)

    def decide(version: int, who: str) -> Moved | ChampionMovedError:
        ready.wait()
        try:
            return promote(hub, version, who, seen)
        except ChampionMovedError as error:
            return error

    with ThreadPoolExecutor(2) as people:
        ana, ben = people.map(decide, (2, 3), ("ana", "ben"))

    (moved,) = [one for one in (ana, ben) if isinstance(one, Moved)]
    (told,) = [one for one in (ana, ben) if isinstance(one, ChampionMovedError)]
    assert moved.promotion.who in told.what
    assert told.details["champion"] == moved.promotion.version
    assert hub.released == (2, moved.promotion.version), "the loser released nothing"
    assert hub.aliases["champion"] == moved.promotion.version
    assert len(hub.registry.history(hub.name)) == 2


def test_who_saw_a_champion_that_went_and_came_back_is_told_as_well(hub: Hub) -> None:
    seen = Seen.now(hub.registry, hub.name)
    hub.move(2)
    hub.move(1, reason="misses dopants")

    with pytest.raises(ChampionMovedError, match="misses dopants"):
        promote(hub, 3, "ben", seen)

    assert hub.aliases["champion"] == 1
