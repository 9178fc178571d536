"""The hub follows real services: it never holds them back, and it finds them again when they restart."""

from __future__ import annotations

from eucentric_core import LeaseLost
from eucentric_dashboard import LiveHub

from .stand_in import Site, eventually, feed_until, frame_of


def session_shown(hub: LiveHub) -> str | None:
    picture = hub.picture()
    return picture.frame.header.session if picture is not None else None


def test_what_agent_and_edge_say_comes_together(site: Site, hub: LiveHub) -> None:
    site.start_agent()
    site.start_edge()
    assert eventually(lambda: hub.agent.online and hub.edge.online)

    def is_complete() -> bool:
        picture = hub.picture(with_uncertainty=True)
        return picture is not None and picture.deviation is not None

    assert feed_until(site.publish, is_complete)
    assert hub.agent.value is not None
    assert hub.agent.value.lease.holder == "anna"
    assert {point.f1 for point in hub.course} <= {1.0, None}
    assert hub.figures().latency_p99_s == 0.025


def test_a_viewer_that_stands_still_does_not_hold_the_acquisition_back(site: Site, hub: LiveHub) -> None:
    agent = site.start_agent()
    assert feed_until(
        lambda n: agent.publish(frame_of(n, session="before")), lambda: session_shown(hub) is not None
    )

    with hub._lock:
        # Far more than all queues between the two could hold: a publisher that had to wait would raise.
        for sequence in range(400):
            agent.publish(frame_of(sequence))

    def shows_the_last() -> bool:
        picture = hub.picture()
        return picture is not None and picture.frame.header.sequence == 399

    assert eventually(shows_the_last)
    assert hub.figures().skipped_frames > 200


def test_a_restarted_agent_is_found_again_and_its_absence_is_told(site: Site, hub: LiveHub) -> None:
    agent = site.start_agent()
    assert feed_until(lambda n: agent.publish(frame_of(n)), lambda: session_shown(hub) == "s1")
    site.stop_agent()
    assert eventually(lambda: not hub.agent.online and hub.agent.failing_since_s is not None)

    restarted = site.start_agent()

    assert eventually(lambda: hub.agent.online)
    assert feed_until(
        lambda n: restarted.publish(frame_of(n, session="s2")), lambda: session_shown(hub) == "s2"
    )


def test_events_of_the_agent_reach_the_viewers(site: Site, hub: LiveHub) -> None:
    agent = site.start_agent()
    lost = LeaseLost(source="microscope-1", holder="anna", epoch=3, safe_state_s=0.2)

    assert feed_until(lambda _: agent.publish(lost), lambda: len(hub.events) > 0)
    assert hub.events[0] == lost


def test_what_is_no_image_is_refused_and_the_view_goes_on(site: Site, hub: LiveHub) -> None:
    agent = site.start_agent()
    edge = site.start_edge()
    line = frame_of(0, session="line").array[0]
    header = frame_of(0, session="line").header.model_copy(update={"shape": line.shape, "axes": ()})
    agent.publish(header, line)
    edge.publish(header, line)

    assert feed_until(lambda n: agent.publish(frame_of(n)), lambda: session_shown(hub) == "s1")
