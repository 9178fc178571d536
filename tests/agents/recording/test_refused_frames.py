"""What is acknowledged is recorded or in the quarantine, and nobody can end the recording."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from pydantic import ValidationError

from eucentric_agents.recording import Journal, Recorder
from eucentric_core import Event, Frame, FrameHeader, FrameQuarantined, FrozenModel, UtcDatetime
from eucentric_core.transport import DataServer, StreamMessage, StreamPublisher, find_free_port
from eucentric_transfer import ShardReader

MakeFrame = Callable[..., Frame]
INGEST = "inproc://ingest"


class Site:
    """A recorder on a data channel."""

    def __init__(self, folder: Path) -> None:
        self.events: list[Event] = []
        self.journal = Journal(folder, frames_per_shard=2, min_free_bytes=0)
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        port = find_free_port()
        self.server = DataServer(host="127.0.0.1", port=port, ingest_endpoint=INGEST, context=self.context)
        self.thread = threading.Thread(target=self.server.serve)
        self.thread.start()
        self.driver = StreamPublisher(INGEST, context=self.context, timeout_s=20)
        self.recorder = Recorder(
            self.journal, host="127.0.0.1", port=port, publish=self.events.append, context=self.context
        )
        self.recorder.start()

    def publish(self, *frames: Frame) -> None:
        for frame in frames:
            self.driver.publish(frame.header, frame.array)

    def close(self) -> None:
        self.recorder.stop(drain_s=20)
        self.driver.close()
        self.server.stop()
        self.thread.join()
        self.context.term()
        self.journal.close()


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "recording")
    yield site
    site.close()


def reasons(site: Site) -> dict[str, list[int]]:
    """The sequence numbers in quarantine, by the kind of reason."""
    found: dict[str, list[int]] = {}
    for path in site.journal.folders.quarantine.glob("*.reason.json"):
        reason = json.loads(path.read_text())
        assert (path.parent / reason["file"]).exists()
        found.setdefault(reason["kind"], []).append(json.loads(reason["header"])["sequence"])
    return {kind: sorted(numbers) for kind, numbers in found.items()}


def test_a_frame_that_is_late_or_refused_is_kept_with_its_reason_and_told(
    recording: Site, make_frame: MakeFrame
) -> None:
    recording.publish(*(make_frame(n) for n in (0, 2, 3, 1, 10**9, 4)))
    recording.recorder.stop(drain_s=20)
    status = recording.recorder.status()
    assert (status.frames_durable, status.refused) == (4, 2)
    assert status.quarantined == {"late": 1, "refused": 1}
    assert reasons(recording) == {"late": [1], "refused": [10**9]}
    told = [event.sequence for event in recording.events if isinstance(event, FrameQuarantined)]
    assert told == [1, 10**9]


def test_a_message_that_cannot_be_read_in_a_way_nobody_foresaw_is_set_aside(
    recording: Site, make_frame: MakeFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = StreamMessage.frame

    def frame(message: StreamMessage) -> Frame:
        found = read(message)
        if found.header.sequence == 1:
            raise OverflowError("date value out of range")
        return found

    monkeypatch.setattr(StreamMessage, "frame", frame)
    recording.publish(*map(make_frame, range(3)))
    recording.recorder.stop(drain_s=20)
    assert recording.recorder.status().frames_durable == 2
    assert not recording.recorder.failed
    assert reasons(recording) == {"malformed": [1]}


class _Moment(FrozenModel):
    at: UtcDatetime


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_utc_does_not_have_is_refused_as_any_wrong_value(moment: str) -> None:
    with pytest.raises(ValidationError, match="year"):
        _Moment.model_validate_json(json.dumps({"at": moment}))


def test_as_many_class_names_as_a_header_may_have_can_be_read_from_a_shard(
    site: Any, make_frame: MakeFrame
) -> None:
    fields = make_frame(1, "truth").header.model_dump()
    most = ("x" * 28,) * 1023
    journal = site.open_journal()
    frame = make_frame(1, "truth")
    journal.append(Frame(FrameHeader(**{**fields, "classes": most}), frame.array))
    journal.stop_session("twin", "s1", frames=2)
    (shard,) = journal.folders.shards.glob("*.h5")
    with ShardReader(shard) as reader:
        assert reader.headers("truth")[0].classes == most
    with pytest.raises(ValidationError, match="class names"):
        FrameHeader(**{**fields, "classes": (*most, "y" * 100)})
    journal.close()
