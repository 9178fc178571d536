"""What holds for every vendor: one thread for each connection, bounded waits, and a blank that wins."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from eucentric_agents.drivers.vendor_api import (
    BeamPart,
    Blanker,
    Lane,
    VendorCallError,
    Wire,
    call_failed,
    connection_lost,
)
from eucentric_core import BusyError, CommandRefusedError, EucentricError, ServiceUnavailableError

from ..rig import wait_until


class Line:
    """A connection that remembers which thread opened it and whether it was mended."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.events: list[str] = []
        self.beam = False


def explain(error: Exception) -> EucentricError:
    """A lost connection is an `OSError`."""
    return connection_lost("The line", error) if isinstance(error, OSError) else call_failed("It", error)


@pytest.fixture
def lines() -> list[Line]:
    """Every connection that was opened."""
    return []


@pytest.fixture
def lane(lines: list[Line]) -> Iterator[Lane[Line]]:
    """A lane over such connections."""

    def connect() -> Line:
        lines.append(Line())
        return lines[-1]

    wire = Wire(
        connect=connect,
        disconnect=lambda line: line.events.append("closed"),
        explain=explain,
        recover=lambda line: line.events.append("recovered"),
    )
    lane = Lane("test", wire)
    yield lane
    lane.close(limit_s=5)


def fail(error: Exception) -> Callable[[Line], None]:
    """A vendor call that raises."""

    def work(_line: Line) -> None:
        raise error

    return work


def test_whoever_asks_one_thread_speaks_to_the_vendor(lane: Lane[Line], lines: list[Line]) -> None:
    with ThreadPoolExecutor(4) as askers:
        answered = set(
            askers.map(lambda _: lane.call(lambda _line: threading.get_ident(), limit_s=5), range(20))
        )
    assert answered == {lines[0].thread}
    assert len(lines) == 1
    assert threading.get_ident() not in answered


def test_a_lost_connection_is_typed_and_the_next_call_opens_another_and_makes_it_safe_first(
    lane: Lane[Line], lines: list[Line]
) -> None:
    with pytest.raises(ServiceUnavailableError, match="unplugged"):
        lane.call(fail(OSError("unplugged")), limit_s=5)
    lane.call(lambda line: line.events.append("work"), limit_s=5)
    assert [line.events for line in lines] == [["closed"], ["recovered", "work"]]


def test_an_error_of_the_vendor_is_typed_and_keeps_the_connection(
    lane: Lane[Line], lines: list[Line]
) -> None:
    with pytest.raises(VendorCallError, match="KeyError: 'no such lens'"):
        lane.call(fail(KeyError("no such lens")), limit_s=5)
    lane.call(lambda line: line.events.append("work"), limit_s=5)
    assert [line.events for line in lines] == [["work"]]


def test_a_call_that_hangs_is_given_up_others_are_refused_at_once_and_it_is_over_when_it_returns(
    lane: Lane[Line],
) -> None:
    release = threading.Event()
    with pytest.raises(VendorCallError, match="did not return within"):
        lane.call(lambda _line: release.wait(30), limit_s=0.05)
    with pytest.raises(BusyError, match="overdue"):
        lane.call(lambda _line: None, limit_s=30)
    release.set()

    def answers() -> bool:
        try:
            return lane.call(lambda _line: True, limit_s=5)
        except BusyError:
            return False

    wait_until(answers)


def test_a_closed_lane_says_so(lane: Lane[Line], lines: list[Line]) -> None:
    lane.call(lambda _line: None, limit_s=5)
    lane.close(limit_s=5)
    assert lines[0].events == ["closed"]
    with pytest.raises(ServiceUnavailableError, match="closed"):
        lane.call(lambda _line: None, limit_s=5)


def test_a_blank_that_comes_while_the_beam_is_unblanked_wins() -> None:
    line = Line()

    def switch(_line: Line, on: bool) -> None:
        if not on and not line.events:
            line.events.append("the blank comes just before the unblanking takes effect")
            blanker.blank()
        line.beam = not on

    def directly(work: Callable[[Line], Any]) -> Any:
        return work(line)

    blanker = Blanker(BeamPart(lambda _line: not line.beam, switch), call=directly, urgent=directly)
    with pytest.raises(CommandRefusedError, match="while it was being unblanked"):
        blanker.unblank()
    assert not line.beam
    blanker.unblank()
    assert line.beam


def test_a_blanker_that_does_not_obey_is_an_error() -> None:
    stuck: BeamPart[Line] = BeamPart(blanked=lambda _line: False, blank=lambda _line, _on: None)
    blanker = Blanker(stuck, call=lambda work: work(Line()), urgent=lambda work: work(Line()))
    with pytest.raises(VendorCallError, match="told to blank the beam and did not"):
        blanker.blank()
