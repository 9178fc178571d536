"""Bulk data stay below the rate of the link, share it fairly, give way to others, and come back."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from eucentric_core import ConfigurationError, LinkSettings, TransportError
from eucentric_core.transport import (
    UNPACED,
    LinkMeasurement,
    Pacer,
    RttProbe,
    find_free_port,
    open_pacer,
    read_link_measurement,
    round_trip_s,
    write_link_measurement,
)
from eucentric_core.transport._pacing_adaptive import AdaptiveRate
from eucentric_core.transport._pacing_bucket import FairQueue, TokenBucket
from eucentric_core.transport._rtt import link_probe

BASE_S = 0.010
BUFFER_S = 0.120
STEP_S = 0.001
LINES = [12.5e6, 125e6, 1.25e9]


class Moment(NamedTuple):
    """A millisecond of a simulated link: share of its rate that is ours, and how long packets wait."""

    time_s: float
    share: float
    queue_s: float


def nobody(_: float) -> float:
    return 0.0


def on_a_link(
    rate: AdaptiveRate,
    line_bytes_s: float,
    duration_s: float,
    *,
    others: Callable[[float], float] = nobody,
    every_s: float = STEP_S,
    jitter_s: float = 0.0,
    stalls_per_s: float = 0.0,
    seed: int = 1,
    base_s: float = BASE_S,
    late_s: float = 0.0,
) -> list[Moment]:
    """What a sender at this rate does to a first-in first-out link that it shares with `others` (bytes/s)."""
    chance = np.random.default_rng(seed)
    log: list[Moment] = []
    queued, arrived_s, probe_s = 0.0, 0.0, 0.0
    answers: deque[tuple[float, float]] = deque()
    for step in range(int(duration_s / STEP_S)):
        now_s = step * STEP_S
        sent = rate.bytes_s * STEP_S
        rate.took(int(sent))
        queued += sent + others(now_s) * STEP_S
        queued = min(max(0.0, queued - line_bytes_s * STEP_S), line_bytes_s * BUFFER_S)
        if now_s >= probe_s:
            probe_s += every_s
            noise_s = chance.exponential(jitter_s)
            noise_s += 0.02 if chance.random() < stalls_per_s * every_s else 0.0
            noise_s += late_s * (0.5 + chance.random()) if now_s > 2 else 0.0
            # TCP delivers in order: whoever is held up holds up those behind.
            arrived_s = max(now_s + base_s + queued / line_bytes_s + noise_s, arrived_s)
            answers.append((arrived_s, arrived_s - now_s))
        while answers and answers[0][0] <= now_s:
            rate.observe(now_s, answers.popleft()[1])
        log.append(Moment(now_s, rate.bytes_s / line_bytes_s, queued / line_bytes_s))
    return log


def between(log: list[Moment], begin_s: float, end_s: float) -> list[Moment]:
    return [moment for moment in log if begin_s <= moment.time_s < end_s]


def mean_share(log: list[Moment]) -> float:
    return sum(moment.share for moment in log) / len(log)


def p99_queue_s(log: list[Moment]) -> float:
    return sorted(moment.queue_s for moment in log)[int(len(log) * 0.99)]


def searching() -> AdaptiveRate:
    return AdaptiveRate(start_bytes_s=6e6, min_bytes_s=125e3, max_bytes_s=1e12)


def knowing(line_bytes_s: float) -> AdaptiveRate:
    return AdaptiveRate(start_bytes_s=0.92 * line_bytes_s, min_bytes_s=125e3, max_bytes_s=0.92 * line_bytes_s)


# ---- the bucket, which is told the time ----------------------------------------------------------------


@given(
    pieces=st.lists(st.integers(1, 200_000), min_size=20, max_size=200),
    late=st.lists(st.floats(0, 0.01), min_size=200, max_size=200),
)
def test_no_window_of_time_holds_more_than_the_rate_a_burst_and_a_piece(
    pieces: list[int], late: list[float]
) -> None:
    rate, burst_s = 10e6, 0.002
    bucket, now_s = TokenBucket(burst_s), 0.0
    taken: list[tuple[float, int]] = []
    for piece, late_s in zip(pieces, late, strict=False):
        now_s += bucket.wait_s(now_s) + late_s
        bucket = bucket.after(now_s, piece, rate)
        taken.append((now_s, piece))
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            window_s = taken[last][0] - taken[first][0]
            total = sum(piece for _, piece in taken[first : last + 1])
            assert total <= rate * (window_s + burst_s) + max(pieces) + 1


@given(late_s=st.floats(0, 0.0019))
def test_a_timer_that_wakes_late_costs_no_throughput(late_s: float) -> None:
    rate, piece = 10e6, 40_000
    bucket, now_s = TokenBucket(0.002), 0.0
    for _ in range(1000):
        now_s += bucket.wait_s(now_s) + late_s
        bucket = bucket.after(now_s, piece, rate)
    assert 1000 * piece / now_s > 0.99 * rate


def served(appetites: dict[str, int], duration_s: float, *, rate: float = 10e6) -> dict[str, int]:
    """How many bytes each gets who asks for pieces of its size whenever it may."""
    queue = FairQueue(TokenBucket(0.002))
    got = dict.fromkeys(appetites, 0)
    next_s = dict.fromkeys(appetites, 0.0)
    while True:
        who = min(next_s, key=lambda name: next_s[name])
        now_s = next_s[who]
        if now_s > duration_s:
            return got
        wait_s = queue.ask(who, appetites[who], now_s, rate)
        if wait_s == 0:
            got[who] += appetites[who]
        next_s[who] = now_s + max(wait_s, 1e-5)


@given(small=st.integers(1_000, 20_000), large=st.integers(20_000, 200_000))
@settings(max_examples=20, deadline=None)
def test_senders_get_the_same_bytes_whatever_the_size_of_their_pieces(small: int, large: int) -> None:
    got = served({"live": small, "files": large}, 3.0)
    assert abs(got["live"] - got["files"]) <= 2 * large
    assert sum(got.values()) >= 0.97 * 10e6 * 3.0


def test_many_senders_share_evenly_and_none_starves() -> None:
    got = served({f"sender {number}": 16_000 for number in range(8)}, 2.0)
    assert max(got.values()) - min(got.values()) <= 2 * 16_000


def test_the_threads_of_one_purpose_share_one_share() -> None:
    queue = FairQueue(TokenBucket(0.002))
    askers = ["live", "part 1", "part 2", "part 3", "part 4"]
    got, next_s = dict.fromkeys(askers, 0), dict.fromkeys(askers, 0.0)
    while min(next_s.values()) < 2.0:
        who = min(askers, key=lambda name: next_s[name])
        wait_s = queue.ask(who, 16_000, next_s[who], 10e6, share=who.split()[0])
        got[who] += 16_000 if wait_s == 0 else 0
        next_s[who] += max(wait_s, 1e-5)
    assert abs(got["live"] - sum(got.values()) / 2) <= 5 * 16_000


def test_whoever_does_not_come_for_their_turn_loses_it() -> None:
    queue = FairQueue(TokenBucket(0.0), grace_s=0.02)
    assert queue.ask("first", 10_000, 0.0, 1e6) == 0
    assert queue.ask("gone", 10_000, 0.001, 1e6) > 0
    assert queue.ask("stays", 10_000, 0.002, 1e6) > 0
    assert queue.ask("stays", 10_000, 0.011, 1e6) > 0  # it is another's turn
    assert queue.ask("stays", 10_000, 0.050, 1e6) == 0
    assert queue.waiting == 0


# ---- the controller, on a simulated link ---------------------------------------------------------------


@pytest.mark.parametrize("line", LINES)
def test_it_finds_the_rate_of_a_link_it_knows_nothing_of_and_keeps_its_queue_short(line: float) -> None:
    log = on_a_link(searching(), line, 15.0)
    settled = between(log, 5.0, 15.0)
    assert mean_share(settled) >= 0.9
    assert p99_queue_s(settled) <= 0.006
    assert max(moment.queue_s for moment in log) < 0.04


@pytest.mark.parametrize("base_s", [0.0005, 0.1])
def test_it_finds_the_rate_near_by_and_far_away(base_s: float) -> None:
    log = on_a_link(searching(), 12.5e6, 25.0, base_s=base_s)
    settled = between(log, 10.0, 25.0)
    assert mean_share(settled) >= 0.88
    assert p99_queue_s(settled) <= 0.012


@pytest.mark.parametrize("line", LINES)
def test_below_a_known_rate_nothing_ever_waits(line: float) -> None:
    log = on_a_link(knowing(line), line, 10.0)
    assert {moment.queue_s for moment in log} == {0.0}
    assert mean_share(log) == pytest.approx(0.92)


@given(taken=st.floats(0.2, 0.8), line=st.sampled_from(LINES), known=st.booleans())
@settings(max_examples=12, deadline=None)
def test_it_gives_way_to_others_takes_what_they_leave_and_comes_back(
    taken: float, line: float, known: bool
) -> None:
    rate = knowing(line) if known else searching()
    log = on_a_link(rate, line, 40.0, others=lambda now_s: taken * line if 8 < now_s < 20 else 0.0)
    together = between(log, 11.0, 20.0)
    assert p99_queue_s(together) <= 0.025
    assert 0.6 * (1 - taken) <= mean_share(together) <= 1.05 * (1 - taken)
    assert mean_share(between(log, 32.0, 40.0)) >= 0.88


@given(jitter_s=st.floats(0.0, 0.0015), stalls_per_s=st.floats(0, 4), seed=st.integers(0, 1000))
@settings(max_examples=12, deadline=None)
def test_noise_and_stalls_of_the_path_do_not_make_it_collapse(
    jitter_s: float, stalls_per_s: float, seed: int
) -> None:
    line = 125e6
    log = on_a_link(knowing(line), line, 20.0, jitter_s=jitter_s, stalls_per_s=stalls_per_s, seed=seed)
    assert mean_share(log) >= 0.75


@given(seed=st.integers(0, 1000))
@settings(max_examples=8, deadline=None)
def test_a_few_round_trips_a_second_are_enough_for_files(seed: int) -> None:
    line = 12.5e6
    log = on_a_link(searching(), line, 40.0, every_s=0.2, jitter_s=0.0005, seed=seed)
    settled = between(log, 10.0, 40.0)
    assert mean_share(settled) >= 0.85
    assert sorted(moment.queue_s for moment in settled)[len(settled) // 2] <= 0.004


def test_giving_way_in_vain_ends_and_begins_anew_when_the_others_have_gone() -> None:
    line = 12.5e6
    log = on_a_link(knowing(line), line, 60.0, others=lambda now_s: 2 * line if 5 < now_s < 35 else 0.0)
    assert mean_share(between(log, 10.0, 35.0)) >= 0.3
    settled = between(log, 40.0, 60.0)
    assert mean_share(settled) >= 0.85
    assert p99_queue_s(settled) <= 0.006


def test_a_machine_that_is_always_late_does_not_starve_its_data() -> None:
    line = 125e6
    log = on_a_link(knowing(line), line, 40.0, late_s=0.02)
    assert mean_share(between(log, 10.0, 40.0)) >= 0.3


def test_what_is_not_used_does_not_count_as_room() -> None:
    rate = searching()
    for step in range(20_000):
        rate.took(100)
        rate.observe(step * STEP_S, BASE_S)
    assert rate.bytes_s == 6e6


def test_a_longer_way_to_another_place_is_not_taken_for_a_queue() -> None:
    rate = knowing(12.5e6)
    for step in range(10_000):
        rate.took(int(rate.bytes_s * STEP_S))
        if step < 5000:  # then nothing more goes to the near place
            rate.observe(step * STEP_S, BASE_S, "near")
        rate.observe(step * STEP_S, 0.150, "far")
    assert rate.bytes_s == pytest.approx(0.92 * 12.5e6)


def test_it_never_leaves_its_bounds_however_long_the_queue() -> None:
    rate = AdaptiveRate(start_bytes_s=1e6, min_bytes_s=2e5, max_bytes_s=4e6)
    for step in range(60_000):
        rate.took(int(rate.bytes_s * STEP_S))
        rate.observe(step * STEP_S, BASE_S + (0.5 if 10_000 < step < 40_000 else 0.0))
        assert 2e5 <= rate.bytes_s <= 4e6
    assert rate.bytes_s == 4e6


# ---- the pacer of a process ----------------------------------------------------------------------------


def test_a_pacer_that_holds_nothing_back_never_waits() -> None:
    assert UNPACED.try_take(1 << 30) == 0
    UNPACED.take(1 << 30)
    assert UNPACED.status().rate_bit_s is None


def test_what_is_taken_is_paid_for_by_waiting() -> None:
    pacer = Pacer(1e6, mode="fixed")
    assert pacer.try_take(500_000) == 0
    assert 0.4 < pacer.try_take(1) <= 0.5
    status = pacer.status()
    assert (status.rate_bit_s, status.taken_bytes, status.waiting) == (8e6, 500_000, 1)


@given(rate=st.floats(1e4, 1e10))
def test_the_kernel_is_told_a_little_more_than_the_rate(rate: float) -> None:
    kernel_rate = Pacer(rate, mode="fixed").kernel_rate_bytes_s
    assert kernel_rate is not None
    assert 1.019 * rate <= kernel_rate <= 1.08 * rate
    assert UNPACED.kernel_rate_bytes_s is None


def test_a_piece_is_a_millisecond_of_the_rate_within_reason() -> None:
    assert Pacer(12.5e6, mode="fixed").piece_bytes == 12_500
    assert Pacer(1e4, mode="fixed").piece_bytes == 4096
    assert Pacer(1e12, mode="fixed").piece_bytes == UNPACED.piece_bytes == 256 << 10


def test_a_sender_that_waits_can_be_stopped_and_leaves_no_claim_behind() -> None:
    pacer, stopping = Pacer(1.0, mode="fixed"), threading.Event()
    pacer.take(1000)
    outcome: list[Exception] = []

    def wait() -> None:
        try:
            pacer.take(1, stopping)
        except TransportError as error:
            outcome.append(error)

    sender = threading.Thread(target=wait)
    sender.start()
    while pacer.status().waiting == 0:
        pass
    stopping.set()
    sender.join(5.0)
    assert not sender.is_alive()
    assert len(outcome) == 1
    assert pacer.status().waiting == 0


def test_threads_that_send_at_once_all_get_through() -> None:
    pacer = Pacer(50e6, mode="fixed")

    def send() -> None:
        for _ in range(20):
            pacer.take(pacer.piece_bytes)

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(10.0)
        assert not sender.is_alive()
    assert pacer.status().taken_bytes == 80 * pacer.piece_bytes
    assert pacer.status().held_back_s > 0


def test_shares_of_one_pacer_draw_on_one_rate_and_count_together() -> None:
    pacer = Pacer(1e6, mode="fixed")
    live, files = pacer.share("live"), pacer.share("files")
    live.take(100_000)
    assert files.try_take(1) > 0.05
    assert live.status() == pacer.status()
    assert (pacer.status().taken_bytes, pacer.status().waiting) == (100_000, 1)
    assert files.piece_bytes == pacer.piece_bytes
    assert UNPACED.share("files") is UNPACED


# ---- what a machine is told ----------------------------------------------------------------------------


def test_the_modes_open_the_pacers_they_name() -> None:
    assert open_pacer(LinkSettings(mode="off")) is UNPACED
    assert open_pacer(LinkSettings(honours="dscp")) is UNPACED
    fixed = open_pacer(LinkSettings(mode="fixed", line_rate_bit_s=1e9)).status()
    assert fixed.mode == "fixed"
    assert fixed.rate_bit_s == pytest.approx(0.93e9)
    unknown = open_pacer(LinkSettings()).status()
    assert (unknown.mode, unknown.rate_bit_s) == ("adaptive", 100e6)
    known = open_pacer(LinkSettings(line_rate_bit_s=1e9, max_rate_bit_s=5e8)).status()
    assert (known.mode, known.rate_bit_s) == ("adaptive", 5e8)


def test_what_the_doctor_measured_is_remembered_and_used(tmp_path: Path) -> None:
    link = LinkSettings(mode="measured", fraction=0.9)
    with pytest.raises(ConfigurationError, match="none was measured"):
        open_pacer(link, home=tmp_path)
    write_link_measurement(tmp_path, measurement := LinkMeasurement(
        far_end="hpc", measured_utc=datetime.now(UTC), line_rate_bit_s=1e8, round_trip_s=0.01, honours="none"
    ))  # fmt: skip
    assert read_link_measurement(tmp_path) == measurement
    assert open_pacer(link, home=tmp_path).status().rate_bit_s == pytest.approx(0.9e8)
    adaptive = open_pacer(LinkSettings(), home=tmp_path).status()
    assert adaptive.mode == "adaptive"
    assert adaptive.rate_bit_s == pytest.approx(0.93e8)
    (tmp_path / "link.json").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"link\.json"):
        open_pacer(link, home=tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "fixed"},
        {"fraction": 0.4},
        {"bulk_dscp": 64},
        {"probe": "hpc"},
        {"probe": "hpc:port"},
        {"line_rate_bit_s": float("nan")},
        {"min_rate_bit_s": 1e9, "max_rate_bit_s": 1e8},
        {"honors": "dscp"},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LinkSettings.model_validate(wrong)


# ---- round trips ---------------------------------------------------------------------------------------


def adaptive_pacer() -> Pacer:
    return Pacer(searching(), mode="adaptive")


def test_an_open_port_and_a_closed_one_both_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert round_trip_s("127.0.0.1", listening.getsockname()[1]) is not None
    assert round_trip_s("127.0.0.1", find_free_port()) is not None


def test_a_host_that_says_nothing_is_no_round_trip() -> None:
    with ExitStack() as sockets:
        silent = sockets.enter_context(socket.socket())
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        for _ in range(8):  # until its queue is full
            sock = sockets.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(silent.getsockname())
        assert round_trip_s(*silent.getsockname(), timeout_s=0.2) is None


def test_a_probe_tells_the_pacer_and_ends_with_its_block() -> None:
    pacer = adaptive_pacer()
    with RttProbe(pacer, "127.0.0.1", find_free_port(), interval_s=0.01) as probe:
        while probe.answers < 5:
            pacer.take(1)
    base_rtt_s = pacer.status().base_rtt_s
    assert base_rtt_s is not None
    assert 0 < base_rtt_s < 1
    assert not any(thread.name.startswith("rtt ") for thread in threading.enumerate())


def test_a_probe_rests_while_nobody_sends() -> None:
    pacer = adaptive_pacer()
    with RttProbe(pacer, "127.0.0.1", find_free_port(), interval_s=0.005) as probe:
        assert not threading.Event().wait(0.2)
        assert probe.answers <= 1
        pacer.take(1)
        while probe.answers < 2:
            pass


def test_the_settings_name_the_probe() -> None:
    pacer = adaptive_pacer()
    with link_probe(LinkSettings(probe=f"127.0.0.1:{find_free_port()}"), pacer):
        while pacer.status().base_rtt_s is None:
            pass
    with link_probe(LinkSettings(), UNPACED):
        assert not any(thread.name.startswith("rtt ") for thread in threading.enumerate())


def test_a_host_that_does_not_exist_ends_no_transfer() -> None:
    pacer = adaptive_pacer()
    with RttProbe(pacer, "no-such-host.invalid", 9, timeout_s=0.1):
        pass
    assert pacer.status().base_rtt_s is None
