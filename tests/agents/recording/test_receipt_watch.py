"""A repository that has gone silent is noticed once, and that it speaks again."""

from __future__ import annotations

from eucentric_agents.data import describe_data, describe_silence
from eucentric_agents.recording._receipt_watch import ReceiptWatch
from eucentric_core import TransferFailed, TransferRecovered


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_silence_is_told_once_and_so_is_its_end() -> None:
    clock = Clock()
    watch = ReceiptWatch(clock=clock)
    watch.look(["a", "b"])
    clock.now_s += 599
    watch.look(["a", "b", "c"])
    assert (watch.silent_s, watch.news()) == (599, None)
    clock.now_s += 1
    told = watch.news()
    assert isinstance(told, TransferFailed)
    assert "3 delivered shards for 10 min" in told.error.what
    clock.now_s += 600
    assert watch.news() is None
    watch.look(["b", "c"])
    recovered = watch.news()
    assert isinstance(recovered, TransferRecovered)
    assert recovered.outage_s == 1200
    assert watch.news() is None


def test_receipts_that_come_slowly_are_no_silence() -> None:
    clock = Clock()
    watch = ReceiptWatch(clock=clock)
    waiting = [f"shard-{n}" for n in range(10)]
    while waiting:
        watch.look(waiting)
        assert watch.news() is None
        clock.now_s += 500
        waiting.pop()
    watch.look([])
    assert watch.silent_s is None


def test_an_outage_of_the_way_there_is_not_counted_against_the_repository() -> None:
    clock = Clock()
    watch = ReceiptWatch(clock=clock)
    watch.look(["a"])
    clock.now_s += 3600
    watch.forget()
    watch.look(["a"])
    assert (watch.silent_s, watch.news()) == (0, None)


def test_a_silence_is_shown_after_two_minutes_and_not_during_an_outage() -> None:
    status = {"awaiting_receipt": 4, "oldest_unreceipted_s": 720.0, "outage_s": None}
    shown = describe_silence(status) or ""
    assert shown.startswith("no receipt for 4 shards for 12 min; check that the repository's service runs")
    assert describe_silence(status | {"oldest_unreceipted_s": 100.0}) is None
    assert describe_silence(status | {"outage_s": 30.0}) is None
    assert describe_silence(status | {"oldest_unreceipted_s": None}) is None


def test_what_was_recovered_and_is_still_open_is_said() -> None:
    facts = {"server": {"subscribers": []}, "recovery": {"frames_recovered": 7}, "left_open": ["titan.s1"]}
    assert "; 7 frames recovered; session titan.s1 is open: session.stop ends it" in describe_data(facts)
    assert "recovered" not in describe_data(facts | {"recovery": {"frames_recovered": 0}})
