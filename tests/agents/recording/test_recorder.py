"""The recorder on a real data channel: acknowledges what is durable, and pauses in plain sight."""

from __future__ import annotations

import json
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
from eucentric_agents.recording._segment import Records, Segment
from eucentric_core import (
    DatasetManifest,
    Frame,
    FrameQuarantined,
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


ABSURD = {"shape": [100_000, 100_000]}
MESSAGES: dict[str, tuple[dict[str, Any], bytes]] = {
    "too few bytes": ({}, b"too short"),
    "too many bytes": ({}, bytes(10_000)),
    "a header of 10^5 x 10^5": (ABSURD, b""),
    "an undeclared dtype": ({"dtype": "object"}, bytes(768)),
    "a field nobody knows": ({"codec": "lz4"}, bytes(768)),
    "a time before year 1": ({"acquired_utc": "0001-01-01T00:00:00+14:00"}, bytes(768)),
    "a shape beyond all numbers": ({"shape": [0, 10**30], "axes": []}, b""),
    "more class names than a shard's table takes": ({"classes": ["c" * 30] * 2500}, bytes(768)),
}


def test_frames_are_acknowledged_before_the_end_of_their_session_is_written_down(
    site: Any, channel: Channel, make_frame: MakeFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = site.open_journal()
    end_session, durable = journal.end_session, []

    def note_durable(*arguments: Any, **options: Any) -> None:
        durable.append(recorder.frames_durable)
        end_session(*arguments, **options)

    monkeypatch.setattr(journal, "end_session", note_durable)
    recorder = channel.recorder(journal)
    channel.session(make_frame, 10)
    recorder.stop(drain_s=WAIT_S)
    journal.close()
    assert durable == [20]


def test_frames_are_taken_while_the_disk_is_busy_and_acknowledged_as_soon_as_it_is_not(
    site: Any, channel: Channel, make_frame: MakeFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, may_flush, taken = site.open_journal(), threading.Event(), []
    append, flush = journal.append, Segment.flush_chunks

    def note_taken(frame: Frame, **options: Any) -> str:
        taken.append(frame.header.sequence)
        return str(append(frame, **options))

    def wait_and_flush(segment: Segment, records: Records) -> None:
        if not may_flush.wait(WAIT_S):
            pytest.fail("the disk was busy for too long")
        flush(segment, records)

    monkeypatch.setattr(journal, "append", note_taken)
    monkeypatch.setattr(Segment, "flush_chunks", wait_and_flush)
    recorder = channel.recorder(journal)
    for sequence in range(4):
        channel.publish(make_frame(sequence))
        wait_until(lambda number=sequence: number in taken)  # type: ignore[misc]
        # Longer than the recorder waits before it counts this as the end of a burst.
        time.sleep(0.1)
    assert recorder.frames_durable == 0
    may_flush.set()
    wait_until(lambda: recorder.frames_durable == 4)
    recorder.stop(drain_s=WAIT_S)
    journal.close()


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_message_that_is_no_frame_is_set_aside_and_the_rest_is_recorded(
    site: Any, channel: Channel, make_frame: MakeFrame, kind: str
) -> None:
    fields, payload = MESSAGES[kind]
    journal = site.open_journal()
    viewer = channel.viewer()
    recorder = channel.recorder(journal)
    header = json.dumps({**json.loads(make_frame(2).header.model_dump_json()), **fields}).encode()
    channel.driver.publish_event(SessionStarted(source="agent", instrument="twin", session="s1"))
    with channel.context.socket(zmq.PUSH) as broken_driver:
        broken_driver.connect(INGEST)
        for _ in range(3):
            broken_driver.send_multipart([b"haadf", header, payload])
        wait_until(lambda: recorder.status().quarantined == {"malformed": 3})
    for sequence in (0, 1):
        channel.publish(make_frame(sequence))
    channel.driver.publish_event(SessionStopped(source="agent", instrument="twin", session="s1", frames=3))
    recorder.stop(drain_s=WAIT_S)
    status = recorder.status()
    assert (status.refused, status.frames_durable, status.open_sessions) == (0, 2, 0)
    assert status.error is not None
    assert status.error.code == "data_format"
    # Told once, however many come.
    events = [m.event() for m in iter(lambda: viewer.receive(0.3), None)]
    (told,) = [event for event in events if isinstance(event, FrameQuarantined)]
    assert (told.instrument, told.session, told.stream, told.sequence) == ("twin", "s1", "haadf", 2)
    # Kept as it came, with the reason beside it.
    (reason,) = (site.recording / "quarantine").glob("*.reason.json")
    said = json.loads(reason.read_text())
    assert said["kind"] == "malformed"
    assert said["header"].encode() == header
    assert (reason.parent / said["file"]).read_bytes() == payload
    assert status.quarantine_bytes == reason.stat().st_size + len(payload)
    assert manifest_of(journal).missing_sequences == (2,)
    journal.close()


def manifest_of(journal: Journal) -> DatasetManifest:
    """The finished session's."""
    (entry,) = [entry for entry in journal.ledger.outbox("pending") if entry.kind == "dataset"]
    return DatasetManifest.model_validate_json(entry.document)


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
    journal = site.open_journal(frames_per_shard=64, min_free_bytes=1 << 60)
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
        frames = [make_frame(n, shape=(80, 80)) for n in range(48)]
        for frame in frames[:8]:
            channel.publish(frame)
        wait_until(lambda: recorder.status().frames_durable == 8)
        driver = threading.Thread(target=lambda: deque(map(channel.publish, frames[8:]), maxlen=0))
        driver.start()
        wait_until(lambda: recorder.status().state == "paused")
        durable = recorder.status().frames_durable
        assert 8 <= durable < 48
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
