"""The course chart marks when the model was swapped and shows F1 only where it can be known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from eucentric_dashboard import CoursePoint
from eucentric_dashboard.pages.live._course import course_options, model_swaps

START = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)


def points(versions: list[int], *, f1: float | None) -> list[CoursePoint]:
    return [
        CoursePoint("s1", n, START + timedelta(seconds=n), version, 0.5, 0.04, 0.03, f1)
        for n, version in enumerate(versions)
    ]


def test_a_swap_is_marked_at_the_first_answer_of_the_new_model() -> None:
    course = points([1, 1, 2, 2, 3], f1=0.9)

    marks = model_swaps(course)

    assert [label for _, label in marks] == ["v1 → v2", "v2 → v3"]
    assert marks[0][0] == (START + timedelta(seconds=2)).timestamp() * 1e3


def test_every_plot_carries_the_marks_and_the_first_one_names_them() -> None:
    series = course_options(points([1, 2], f1=0.9))["series"]

    assert [one["name"] for one in series] == ["F1", "Drift score", "Mean uncertainty"]
    marks = [[mark for mark in one["markLine"]["data"] if "xAxis" in mark] for one in series]
    assert [len(one) for one in marks] == [1, 1, 1]
    assert marks[0][0]["label"]["formatter"] == "v1 → v2"


def test_a_real_instrument_has_no_f1_plot() -> None:
    assert [one["name"] for one in course_options(points([1, 1], f1=None))["series"]] == [
        "Drift score",
        "Mean uncertainty",
    ]
