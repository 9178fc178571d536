"""A full disk under the instrument or under the repository: it waits visibly, and goes on when there is room.

The disks are real ones, small, in memory. How much is left when one becomes full decides which write is
the first to fail: journal, open shard, seal, ledger, log; at the far end temporary file, catalogue, receipt.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

from eucentric_core import RecordingPaused, TransferFailed
from eucentric_core.transport import StreamSubscriber

from ...small_disk import MIB, Filler, small_disk
from .chain import Chain, ForkServer, Service, wait_until

ACQUISITIONS = 10
FULL_FOR_S = 1.0
LEFT_BYTES = (0, 24 << 10, 160 << 10)
NIGHTLY_LEFT_BYTES = tuple(n << 12 for n in range(48))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "left_bytes" in metafunc.fixturenames:
        nightly = metafunc.config.getoption("--nightly")
        metafunc.parametrize("left_bytes", NIGHTLY_LEFT_BYTES if nightly else LEFT_BYTES)


@contextmanager
def hearing(chain: Chain) -> Iterator[list[str]]:
    """The kinds of events that the data process publishes meanwhile."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    kinds: list[str] = []
    stopping = threading.Event()

    def listen() -> None:
        port = chain.settings.agent.data_port
        with StreamSubscriber("127.0.0.1", port, streams=["events"], mode="lossless", context=context) as ear:
            while not stopping.is_set():
                if (message := ear.receive(0.1)) is not None:
                    ear.acknowledge()
                    kinds.append(message.event().kind)

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield kinds
    finally:
        stopping.set()
        thread.join(timeout=20)
        context.destroy(linger=0)


def publish_everything(chain: Chain, over: Callable[[], bool]) -> None:
    with chain.publishing() as publish:
        wait_until(lambda: over() or chain.start_session(publish), "the session starts")
        chain.record(publish, range(ACQUISITIONS), until=over)
        wait_until(lambda: over() or chain.stop_session(publish, ACQUISITIONS), "the session ends")


def require_everything(chain: Chain, *services: Service) -> None:
    """All frames are registered once, nothing is half done, and the services end as they should."""
    chain.require_exactly_once(chain.acknowledged())
    assert len(chain.registered()) == 2 * ACQUISITIONS
    for service in services:
        service.stop()
        assert service.status == 0, service.log.read_text()
    assert chain.leftovers() == []


def test_a_full_disk_at_the_instrument_pauses_acquisition_and_costs_nothing(
    tmp_path: Path, forks: ForkServer, left_bytes: int
) -> None:
    with small_disk(tmp_path / "home", 24 * MIB) as disk, Chain(tmp_path, forks) as chain:
        filler = Filler(disk)
        repository, recorder = chain.start_repository(), chain.start_recorder()
        with hearing(chain) as kinds, ThreadPoolExecutor(1) as aside:
            wait_until((chain.home / "run" / "repository.json").exists, "the repository starts")
            filler.leave(left_bytes)
            published = aside.submit(publish_everything, chain, lambda: recorder.ended)
            wait_until(lambda: RecordingPaused.model_fields["kind"].default in kinds, "it says it is paused")
            time.sleep(0.5)
            assert not recorder.ended, recorder.log.read_text()
            kept = chain.acknowledged()
            filler.go()
            published.result(timeout=60)
            wait_until(lambda: chain.is_finished() or recorder.ended, "everything arrives")
        assert set(kept) <= set(chain.acknowledged())
        require_everything(chain, recorder, repository)


def test_a_full_disk_that_fills_up_in_between_loses_nothing(
    tmp_path: Path, forks: ForkServer, left_bytes: int
) -> None:
    with small_disk(tmp_path / "home", 24 * MIB) as disk, Chain(tmp_path, forks) as chain:
        filler = Filler(disk)
        recorder = chain.start_recorder()
        with ThreadPoolExecutor(1) as aside:
            published = aside.submit(publish_everything, chain, lambda: recorder.ended)
            wait_until(lambda: bool(chain.acknowledged()), "the first frame is durable")
            filler.leave(left_bytes)
            time.sleep(FULL_FOR_S)
            assert not recorder.ended, recorder.log.read_text()
            filler.go()
            published.result(timeout=60)
        repository = chain.start_repository()
        wait_until(lambda: chain.is_finished() or recorder.ended, "everything arrives")
        require_everything(chain, recorder, repository)


def test_a_full_repository_keeps_every_shard_at_the_instrument_until_there_is_room(
    tmp_path: Path, forks: ForkServer, left_bytes: int
) -> None:
    with small_disk(tmp_path / "repository", 40 * MIB) as disk, Chain(tmp_path, forks) as chain:
        filler = Filler(disk)
        repository, recorder = chain.start_repository(), chain.start_recorder()
        wait_until((chain.home / "run" / "repository.json").exists, "the repository starts")
        with hearing(chain) as kinds:
            filler.leave(left_bytes)
            publish_everything(chain, lambda: recorder.ended)
            wait_until(lambda: len(chain.shards_here()) == 3, "all shards are sealed")
            wait_until(lambda: TransferFailed.model_fields["kind"].default in kinds, "somebody is told")
            assert len(chain.shards_here()) == 3
            filler.go()
            wait_until(lambda: chain.is_finished() or recorder.ended, "everything arrives")
        require_everything(chain, recorder, repository)


def test_a_repository_without_room_for_its_own_books_registers_nothing_by_halves(
    tmp_path: Path, forks: ForkServer, left_bytes: int
) -> None:
    with small_disk(tmp_path / "repository", 40 * MIB) as disk, Chain(tmp_path, forks) as chain:
        filler = Filler(disk)
        repository = chain.start_repository()
        wait_until((chain.home / "run" / "repository.json").exists, "the repository starts")
        repository.stop()
        recorder = chain.start_recorder()
        publish_everything(chain, lambda: recorder.ended)
        incoming = chain.store / "incoming"
        wait_until(lambda: len(list(incoming.glob("*.json"))) == 4, "everything is delivered")
        filler.leave(left_bytes)
        repository = chain.start_repository()
        time.sleep(FULL_FOR_S)
        receipts = len(list((chain.store / "receipts").glob("*.h5.json")))
        assert len(chain.shards_here()) >= 3 - receipts
        filler.go()
        if repository.ended:
            # Without any room it does not start, and says so; whoever supervises it starts it again.
            repository = chain.start_repository()
        wait_until(lambda: chain.is_finished() or recorder.ended, "everything is registered")
        require_everything(chain, recorder, repository)
