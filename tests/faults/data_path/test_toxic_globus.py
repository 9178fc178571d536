"""Every fault of a network between the instrument and Globus, in either direction.

The real globus-sdk speaks over the link to the emulated service (SIMULATED), which really moves the files.
Its own tries after a failure are made to follow one another quickly.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from eucentric_transfer.globus import _account

from ...links import Direction, Link
from ...servers.globus import GlobusEmulator
from ...servers.globus_service import sdk_speaks_to
from ...transfer.globus_site import Site
from .outbox import TOXICS, ship_through


@pytest.fixture
def emulator(globus_emulator: GlobusEmulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[GlobusEmulator]:
    """Globus without a fault of its own."""
    globus_emulator.mend()
    monkeypatch.setattr(_account, "_MAX_RETRY_SLEEP_S", 0.01)
    yield globus_emulator
    globus_emulator.mend()


@pytest.mark.parametrize("direction", ["to_server", "to_client"])
def test_every_toxic_between_shipper_and_globus_is_survived(
    emulator: GlobusEmulator, tmp_path: Path, direction: Direction
) -> None:
    with ExitStack() as open_now, ThreadPoolExecutor(len(TOXICS)) as several:
        running = []
        for number, toxic in enumerate(TOXICS):
            link = open_now.enter_context(Link(emulator.port))
            site = Site(emulator, tmp_path / str(number))
            with sdk_speaks_to(emulator.environment_at(link.port)):
                mover = site.mover()
            running.append(
                several.submit(
                    ship_through,
                    link,
                    toxic,
                    direction,
                    folder=site.near / "base" / "recording",
                    mover=mover,
                    arrived=site.arrived,
                )
            )
        for done in running:
            done.result()
