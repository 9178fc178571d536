"""How many messages a subscriber lets come: by their number, by their size, and by how long each takes it."""

from __future__ import annotations

from eucentric_core.transport._zmq_window import CreditWindow


def granted_after(window: CreditWindow, *, messages: int, each_takes_s: float, n_bytes: int = 1) -> int:
    """What is granted once so many were received and acknowledged, one after the other in one queue."""
    for dealt_with in range(messages):
        for _ in range(window.room):
            window.received(n_bytes, now_s=dealt_with * each_takes_s)
        window.acknowledged(1, now_s=(dealt_with + 1) * each_takes_s)
    return window.granted


def test_the_number_alone_holds_where_nothing_else_is_said() -> None:
    window = CreditWindow(8, None, None)

    assert granted_after(window, messages=50, each_takes_s=100.0, n_bytes=1 << 30) == 8


def test_large_messages_are_fewer_at_a_time() -> None:
    window = CreditWindow(64, 100 << 20, None)

    assert granted_after(window, messages=50, each_takes_s=0.1, n_bytes=10 << 20) == 10


def test_none_waits_longer_than_it_may_where_each_takes_long() -> None:
    assert granted_after(CreditWindow(8, None, 1.0), messages=50, each_takes_s=0.3) == 3
    assert granted_after(CreditWindow(8, None, 1.0), messages=50, each_takes_s=30.0) == 1


def test_who_is_quick_again_is_sent_as_many_as_before() -> None:
    window = CreditWindow(8, None, 1.0)
    granted_after(window, messages=50, each_takes_s=30.0)

    assert granted_after(window, messages=50, each_takes_s=0.01) == 8


def test_an_acknowledgement_of_what_never_came_makes_no_room() -> None:
    window = CreditWindow(4, None, None)
    window.received(1, now_s=0.0)

    assert window.acknowledged(100, now_s=1.0) == 1
    assert window.room == 4
