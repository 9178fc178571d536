"""Frames, truth and answers find each other by session and sequence number, within fixed bounds."""

from __future__ import annotations

from itertools import permutations

import pytest

from eucentric_dashboard import LiveJoin
from eucentric_dashboard._live import COURSE_FRAMES, MAX_BEHIND_ANSWERS, MAX_BEHIND_S, MAX_KEPT_FRAMES

from .stand_in import answer_of, frame_of, truth_of, uncertainty_of


def test_the_frame_shown_is_the_one_its_detections_belong_to() -> None:
    join = LiveJoin()
    join.take_frame(frame_of(1), now_s=0.0)
    join.take_detections(*answer_of(1))
    join.take_frame(frame_of(2), now_s=0.1)

    shown = join.choose(with_uncertainty=False)

    assert shown is not None
    assert shown.frame.header.sequence == 1
    assert shown.counts == (("metal", 25), ("chalcogen", 24))


def test_when_the_edge_falls_behind_the_newest_frame_is_shown_without_detections() -> None:
    join = LiveJoin()
    join.take_frame(frame_of(1), now_s=0.0)
    join.take_detections(*answer_of(1))
    join.take_frame(frame_of(2), now_s=MAX_BEHIND_S + 0.1)

    shown = join.choose(with_uncertainty=False)

    assert shown is not None
    assert shown.frame.header.sequence == 2
    assert shown.counts == ()


def test_an_edge_that_takes_long_for_each_frame_is_not_taken_for_one_that_fell_behind() -> None:
    join = LiveJoin()
    join.take_frame(frame_of(1), now_s=0.0)
    header, rows = answer_of(1)
    join.take_detections(header.model_copy(update={"latency_s": MAX_BEHIND_S}), rows)
    join.take_frame(frame_of(2), now_s=MAX_BEHIND_S + 0.1)

    while_it_works = join.choose(with_uncertainty=False)
    join.take_frame(frame_of(3), now_s=MAX_BEHIND_ANSWERS * MAX_BEHIND_S + 0.1)
    when_it_is_gone = join.choose(with_uncertainty=False)

    assert while_it_works is not None
    assert while_it_works.frame.header.sequence == 1
    assert when_it_is_gone is not None
    assert when_it_is_gone.frame.header.sequence == 3


def test_how_far_the_edge_is_behind_is_how_long_a_frame_has_waited_and_not_how_long_nobody_scanned() -> None:
    join = LiveJoin()
    assert join.behind_s(now_s=0.0) is None
    join.take_frame(frame_of(1), now_s=0.0)
    join.take_detections(*answer_of(1))

    after_an_hour_s = 3600.0
    join.take_frame(frame_of(2), now_s=after_an_hour_s)
    join.take_frame(frame_of(3), now_s=after_an_hour_s + 1)

    assert join.behind_s(now_s=after_an_hour_s + 1) is None
    assert join.behind_s(now_s=after_an_hour_s + 9) == 9.0
    join.take_detections(*answer_of(3))
    assert join.behind_s(now_s=after_an_hour_s + 9) is None


@pytest.mark.parametrize("order", list(permutations(["frame", "detections", "uncertainty"])))
def test_parts_may_come_in_any_order(order: tuple[str, ...]) -> None:
    join = LiveJoin()
    take = {
        "frame": lambda: join.take_frame(frame_of(5), now_s=0.0),
        "detections": lambda: join.take_detections(*answer_of(5)),
        "uncertainty": lambda: join.take_uncertainty(*uncertainty_of(5)),
    }
    for part in order:
        take[part]()

    shown = join.choose(with_uncertainty=True)

    assert shown is not None
    assert shown.rows is not None
    assert shown.deviation is not None
    assert len(join.course) == 1


def test_an_answer_of_another_session_is_not_drawn_on_this_one() -> None:
    join = LiveJoin()
    join.take_frame(frame_of(1, session="evening"), now_s=0.0)
    join.take_detections(*answer_of(1, session="morning"))

    shown = join.choose(with_uncertainty=False)

    assert shown is not None
    assert shown.answer is None


def test_f1_is_one_when_all_is_found_and_falls_with_what_is_missed() -> None:
    join = LiveJoin()
    for sequence, found in ((1, None), (2, 20)):
        join.take_truth(truth_of(sequence))
        join.take_frame(frame_of(sequence), now_s=0.0)
        join.take_detections(*answer_of(sequence, found=found))

    first, second = (point.f1 for point in join.course)

    assert first == 1.0
    assert second is not None
    assert second < 0.8


def test_without_ground_truth_there_is_no_f1_rather_than_a_guess() -> None:
    join = LiveJoin()
    join.take_frame(frame_of(1), now_s=0.0)
    join.take_detections(*answer_of(1))

    assert join.course[0].f1 is None
    assert join.course[0].drift_score == 0.4


def test_where_the_truth_is_of_other_classes_there_is_no_f1() -> None:
    join = LiveJoin()
    header, rows = answer_of(1)
    join.take_truth(truth_of(1))
    join.take_frame(frame_of(1), now_s=0.0)
    join.take_detections(header.model_copy(update={"classes": ("gold", "carbon")}), rows)

    assert join.course[0].f1 is None


def test_frames_that_this_viewer_skipped_are_counted_and_a_new_session_is_no_skip() -> None:
    join = LiveJoin()
    for sequence in (1, 2, 5, 6):
        join.take_frame(frame_of(sequence), now_s=0.0)
    join.take_frame(frame_of(90, session="s2"), now_s=0.0)

    assert join.skipped_frames == 2


def test_the_rate_is_that_of_the_acquisition_even_when_frames_were_skipped() -> None:
    join = LiveJoin()
    for step in range(11):
        join.take_frame(frame_of(3 * step), now_s=step / 10)

    assert join.frames_per_s(now_s=1.0) == pytest.approx(30)
    assert join.frames_per_s(now_s=60.0) == 0.0


def test_nothing_grows_without_bound() -> None:
    join = LiveJoin()
    for sequence in range(COURSE_FRAMES + 50):
        join.take_frame(frame_of(sequence), now_s=0.0)
        join.take_detections(*answer_of(sequence))

    newest = join.newest
    assert newest is not None
    assert len(join.course) == COURSE_FRAMES
    assert join.find(newest.version) is newest
    assert join.find(newest.version - MAX_KEPT_FRAMES) is None


def test_an_image_is_encoded_once_for_all_viewers() -> None:
    join = LiveJoin()
    join.take_frame(frame_of(1), now_s=0.0)
    picture = join.newest
    assert picture is not None

    assert picture.jpeg("normal") is picture.jpeg("normal")
    assert picture.jpeg("normal") != picture.jpeg("strong")
