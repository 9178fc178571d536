"""The recorder on a real data channel: acknowledges what is durable, and pauses in plain sight."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from eucentric_agents.recording import Journal, Recorder
from eucentric_core import (
    Frame,
    RecordingPaused,
    ServiceUnavailableError,
    SessionStarted,
    SessionStopped,
)
from eucentric_core.transport import DataServer, StreamPublisher, StreamSubscriber, find_free_port

MakeFrame = Callable[..., Frame]
WAIT_S = 20.0
INGEST = "inproc://ingest"


class Channel:
    """A data server as the agent's data process runs it, and the driver's end of it."""

    def __init__(self) -> None:
        self.recorders: list[Recorder] = []
        self.viewers: list[StreamSubscriber] = []
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.port = find_free_port()
        self.server = DataServer(
            host="127.0.0.1", port=self.port, ingest_endpoint=INGEST, context=self.context
        )
        self.thread = threading.Thread(target=self.server.serve)
        self.thread.start()
        self.driver = StreamPublisher(INGEST, context=self.context, timeout_s=WAIT_S)
        # As in the data process: a driver that is held back must not hold the recorder back.
        self.own_events = StreamPublisher(INGEST, context=self.context, timeout_s=2.0)

    def recorder(self, journal: Journal) -> Recorder:
        recorder = Recorder(
            journal,
            host="127.0.0.1",
            port=self.port,
            publish=self.own_events.publish_event,
            context=self.context,
        )
        self.recorders.append(recorder)
        recorder.start()
        return recorder

    def viewer(self) -> StreamSubscriber:
        viewer = StreamSubscriber(
            "127.0.0.1", self.port, streams=["events"], mode="lossless", context=self.context
        )
        self.viewers.append(viewer)
        viewer.wait_subscribed(WAIT_S)
        return viewer

    def publish(self, frame: Frame) -> None:
        self.driver.publish(frame.header, frame.array)

    def session(self, make_frame: MakeFrame, frames: int) -> None:
        self.driver.publish_event(
            SessionStarted(source="agent", instrument="twin", session="s1", material="mos2")
        )
        for sequence in range(frames):
            for stream in ("truth", "haadf"):
                self.publish(make_frame(sequence, stream))
        self.driver.publish_event(
            SessionStopped(source="agent", instrument="twin", session="s1", frames=frames)
        )

    def close(self) -> None:
        for recorder in self.recorders:
            recorder.stop(drain_s=0)
        for viewer in self.viewers:
            viewer.close()
        self.driver.close()
        self.own_events.close()
        self.server.stop()
        self.thread.join()
        self.context.term()


@pytest.fixture
def channel() -> Iterator[Channel]:
    channel = Channel()
    yield channel
    channel.close()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("it did not happen")
        time.sleep(0.02)


def test_a_session_is_recorded_from_its_start_to_its_stop(
    site: Any, channel: Channel, make_frame: MakeFrame
) -> None:
    journal = site.open_journal()
    recorder = channel.recorder(journal)
    channel.session(make_frame, 40)
    recorder.stop(drain_s=WAIT_S)
    status = recorder.status()
    assert (status.state, status.frames_durable, status.refused, status.open_sessions) == (
        "stopped",
        80,
        0,
        0,
    )
    assert status.shards_sealed == 10
    site.settle(journal)
    journal.close()
    with site.catalogue() as catalogue:
        (dataset,) = catalogue.datasets()
        assert (dataset.state, dataset.frames, dataset.missing, dataset.material) == (
            "complete",
            40,
            0,
            "mos2",
        )
        for frame in catalogue.frames("s1", "haadf"):
            np.testing.assert_array_equal(frame.array, make_frame(frame.header.sequence).array)


def test_a_message_that_is_no_frame_is_refused_and_the_rest_is_recorded(
    site: Any, channel: Channel, make_frame: MakeFrame
) -> None:
    journal = site.open_journal()
    recorder = channel.recorder(journal)
    broken_driver = channel.context.socket(zmq.PUSH)
    broken_driver.connect(INGEST)
    broken_driver.send_multipart([b"haadf", make_frame(0).header.model_dump_json().encode(), b"too short"])
    wait_until(lambda: recorder.status().refused == 1)
    broken_driver.close()
    channel.session(make_frame, 4)
    recorder.stop(drain_s=WAIT_S)
    status = recorder.status()
    assert (status.refused, status.frames_durable) == (1, 8)
    assert status.error is not None
    assert status.error.code == "data_format"
    journal.close()


def test_without_room_it_pauses_visibly_holds_the_source_back_and_resumes_by_itself(
    site: Any, channel: Channel, make_frame: MakeFrame
) -> None:
    journal = site.open_journal(min_free_bytes=1 << 60)
    viewer = channel.viewer()
    recorder = channel.recorder(journal)
    for sequence in range(8):
        channel.publish(make_frame(sequence))
    message = viewer.receive(WAIT_S)
    assert message is not None
    paused = message.event()
    assert isinstance(paused, RecordingPaused)
    assert paused.error.code == "out_of_space"
    assert recorder.status().state == "paused"
    assert recorder.status().frames_durable == 0

    journal.min_free_bytes = 0
    wait_until(lambda: recorder.status().frames_durable == 8)
    assert recorder.status().state == "recording"
    assert recorder.status().error is None
    recorder.stop()
    journal.close()


def test_a_pause_stops_the_source_instead_of_losing_frames(
    site: Any, channel: Channel, make_frame: MakeFrame
) -> None:
    journal = site.open_journal(min_free_bytes=1 << 60)
    recorder = channel.recorder(journal)
    published = 0

    def drive() -> None:
        nonlocal published
        for sequence in range(400):
            channel.publish(make_frame(sequence))
            published += 1

    driver = threading.Thread(target=drive)
    driver.start()
    wait_until(lambda: recorder.status().state == "paused")
    seen = -1
    while seen != published:
        seen = published
        time.sleep(0.3)
    assert published < 400
    journal.min_free_bytes = 0
    driver.join()
    recorder.stop(drain_s=WAIT_S)
    assert recorder.status().frames_durable == 400
    journal.close()


def test_a_disk_that_is_really_full(tmp_path: Path, channel: Channel, make_frame: MakeFrame) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("only root can mount a small disk")
    try:
        journal = Journal(disk / "recording", frames_per_shard=64, min_free_bytes=0)
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(1 << 20))
        recorder = channel.recorder(journal)
        frames = [make_frame(n, shape=(64, 64)) for n in range(48)]
        driver = threading.Thread(target=lambda: deque(map(channel.publish, frames), maxlen=0))
        driver.start()
        wait_until(lambda: recorder.status().state == "paused")
        durable = recorder.status().frames_durable
        assert 0 < durable < 48
        ballast.unlink()
        driver.join()
        recorder.stop(drain_s=WAIT_S)
        assert recorder.status().frames_durable == 48
        journal.stop_session("twin", "s1", frames=48)
        assert journal.shards_sealed == 1
        journal.close()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_recorder_without_a_data_server_says_so(site: Any) -> None:
    journal = site.open_journal()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    recorder = Recorder(
        journal, host="127.0.0.1", port=find_free_port(), publish=site.events.append, context=context
    )
    with pytest.raises(ServiceUnavailableError):
        recorder.start(timeout_s=0.5)
    assert recorder.status().state == "stopped"
    journal.close()
    context.term()
