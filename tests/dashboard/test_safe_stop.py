"""Safe stop reaches the agent, tells the truth about what came of it, and never waits for another call."""

from __future__ import annotations

import threading

from eucentric_dashboard import SafeStop
from eucentric_dashboard._safe_stop import DoubleEscape

from .stand_in import Site


def stop_of(site: Site) -> SafeStop:
    return SafeStop(site.settings.agent.host, site.settings.agent.control_port, client="anna@lab")


def test_it_reaches_the_agent_and_reads_back_that_the_beam_is_blanked(site: Site) -> None:
    site.start_agent()

    outcome = stop_of(site)()

    assert site.stopped_by == ["anna@lab"]
    assert outcome.confirmed
    assert "beam blanked" in outcome.words


def test_a_beam_that_stays_on_is_not_called_stopped(site: Site) -> None:
    site.blanker_works = False
    site.start_agent()

    outcome = stop_of(site)()

    assert not outcome.confirmed
    assert "NOT CONFIRMED" in outcome.words
    assert "the beam is not blanked" in outcome.words


def test_without_an_agent_it_says_so_and_what_to_do(site: Site) -> None:
    outcome = stop_of(site)()

    assert not outcome.confirmed
    assert "microscope's own panel" in outcome.words


def test_it_does_not_wait_behind_a_slow_safe_stop_of_someone_else(site: Site) -> None:
    site.start_agent()
    site.hold_first_stop = threading.Event()
    stop = stop_of(site)
    first = threading.Thread(target=stop)
    first.start()
    assert site.first_stop_arrived.wait(30)

    outcome = stop()

    assert outcome.confirmed
    assert first.is_alive(), "the first one is still being held, and the second is done"
    site.hold_first_stop.set()
    first.join(timeout=10)


def test_escape_stops_on_the_second_press_only_if_it_follows_at_once() -> None:
    escape = DoubleEscape()

    assert [escape.press(now_s=s) for s in (0.0, 5.0, 5.3, 5.5, 9.0)] == [False, False, True, False, False]
