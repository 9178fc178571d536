"""When the edge says that the frames have left what the model knows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eucentric_edge import DriftEpisode, DriftGates, DriftState, Observation, observe

GATES = DriftGates(window_frames=4, drift_score_limit=1.0, entropy_ratio_limit=1.2, recovered_share=0.8)
NORMAL, STRANGE_BUT_SURE, DRIFTED = (0.5, 1.0), (3.0, 1.0), (3.0, 2.0)


def watch(
    frames: list[tuple[float, float]], *, state: DriftState | None = None, session: str = "s1", first: int = 0
) -> tuple[DriftState, list[DriftEpisode]]:
    state, episodes = state or DriftState(), []
    for sequence, (drift_score, entropy_ratio) in enumerate(frames, start=first):
        state, episode = observe(state, Observation(session, sequence, drift_score, entropy_ratio), GATES)
        if episode is not None:
            episodes.append(episode)
    return state, episodes


def test_normal_frames_raise_nothing() -> None:
    assert watch([NORMAL] * 50)[1] == []


def test_a_shift_that_does_no_harm_raises_nothing() -> None:
    assert watch([STRANGE_BUT_SURE] * 50)[1] == []


def test_doubt_on_familiar_frames_raises_nothing() -> None:
    assert watch([(0.5, 2.0)] * 50)[1] == []


def test_one_bad_frame_is_no_drift() -> None:
    assert watch([NORMAL] * 4 + [DRIFTED] + [NORMAL] * 20)[1] == []


def test_nothing_is_said_before_the_window_is_full() -> None:
    assert watch([DRIFTED] * 3)[1] == []
    assert len(watch([DRIFTED] * 4)[1]) == 1


def test_drift_is_reported_once_with_the_first_drifted_frame() -> None:
    _, episodes = watch([NORMAL] * 10 + [DRIFTED] * 30)
    assert [(episode.first_sequence, episode.sequence) for episode in episodes] == [(10, 11)]
    # Half of the window of four has drifted, so the medians lie half way.
    assert (episodes[0].drift_score, episodes[0].entropy_ratio) == (1.75, 1.5)


def test_a_score_that_hovers_at_the_limit_is_one_episode() -> None:
    assert len(watch([(1.1, 1.5), (1.1, 1.5), (0.95, 1.5), (0.95, 1.5)] * 20)[1]) == 1


def test_recovery_ends_the_episode_and_the_next_drift_is_a_new_one() -> None:
    _, episodes = watch([DRIFTED] * 8 + [NORMAL] * 8 + [DRIFTED] * 8)
    assert [episode.first_sequence for episode in episodes] == [0, 16]


def test_another_session_starts_with_an_empty_window() -> None:
    state, _ = watch([DRIFTED] * 3)
    assert watch([DRIFTED] * 3, state=state, session="s2", first=3)[1] == []


def test_another_session_with_the_same_drift_is_the_same_episode() -> None:
    state, _ = watch([DRIFTED] * 8)
    assert watch([DRIFTED] * 8, state=state, session="s2", first=8)[1] == []


def test_an_installation_starts_over() -> None:
    assert len(watch([DRIFTED] * 8)[1]) == 1
    assert len(watch([DRIFTED] * 8, state=DriftState())[1]) == 1


@given(st.lists(st.sampled_from([NORMAL, STRANGE_BUT_SURE, DRIFTED]), max_size=60))
def test_every_episode_has_its_own_recovery_before_it(frames: list[tuple[float, float]]) -> None:
    state, reported_before = DriftState(), False
    for sequence, (drift_score, entropy_ratio) in enumerate(frames):
        state, episode = observe(state, Observation("s1", sequence, drift_score, entropy_ratio), GATES)
        assert len(state.window) <= GATES.window_frames
        if episode is not None:
            assert not reported_before
            assert state.window[0].sequence <= episode.first_sequence <= episode.sequence == sequence
            assert state.drift_score > GATES.drift_score_limit
            assert state.entropy_ratio > GATES.entropy_ratio_limit
        reported_before = state.reported
