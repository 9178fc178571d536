"""Labels are values that frozen events make of one another: what is done can be undone, and done again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eucentric_dashboard.chips import CLASS_PALETTE, MOST_CLASSES, Grid, LabelError
from eucentric_dashboard.pages.studio._history import History
from eucentric_dashboard.pages.studio._labels import (
    AddClass,
    LabelEvent,
    Labelling,
    Paint,
    Recolour,
    Regrid,
    RemoveClass,
    RenameClass,
    applied,
)

GRID = Grid.of((256, 320), 20e-12, side_px=32)

places = st.tuples(st.integers(-1, 9), st.integers(-1, 11))
grids = st.builds(
    lambda side, y, x: GRID.with_side_px(side).with_offset_px(y, x),
    st.integers(1, 400),
    st.integers(-3, 200),
    st.integers(-3, 200),
)
events = st.one_of(
    st.builds(
        Paint, st.lists(places, max_size=6).map(tuple), st.one_of(st.none(), st.integers(1, MOST_CLASSES))
    ),
    st.builds(Regrid, grids),
    st.builds(AddClass, st.sampled_from(["", "film", "hole", "film "])),
    st.builds(RenameClass, st.integers(1, 4), st.sampled_from(["film", "", "substrate", "none of these"])),
    st.builds(Recolour, st.integers(1, 4), st.sampled_from(["#123456", "red"])),
    st.builds(RemoveClass, st.integers(1, 4)),
)


def after(history: History, event: LabelEvent) -> History:
    """As a page does it: what cannot be is refused, and nothing has changed."""
    try:
        return history.done(event)
    except LabelError:
        return history


@given(st.lists(events, max_size=25))
def test_every_step_can_be_undone_and_done_again(script: list[LabelEvent]) -> None:
    history = History(Labelling(GRID))
    for event in script:
        history = after(history, event)
    seen = [*history.before, history.now]
    for expected in reversed(seen[:-1]):
        history = history.undone()
        assert history.now == expected
    assert history.now == Labelling(GRID)
    assert history.undone() is history
    for expected in seen[1:]:
        history = history.redone()
        assert history.now == expected
    assert history.redone() is history


@given(st.lists(events, max_size=25))
def test_no_label_is_outside_of_the_grid_or_of_a_class_that_is_not_there(script: list[LabelEvent]) -> None:
    history = History(Labelling(GRID))
    for event in script:
        history = after(history, event)
        keys = [one.key for one in history.now.classes]
        names = [one.name.casefold() for one in history.now.classes]
        assert keys == sorted(set(keys))
        assert len(set(names)) == len(names)
        assert set(history.now.chips.values()) <= set(keys)
        assert all(place in history.now.grid for place in history.now.chips)


@given(st.lists(events, max_size=12), st.lists(grids, min_size=1, max_size=6))
def test_a_slider_that_comes_back_has_lost_no_label_and_is_one_step(
    script: list[LabelEvent], slid: list[Grid]
) -> None:
    history = History(Labelling(GRID))
    for event in script:
        history = after(history, event)
    history = (
        after(history, Paint(((0, 0),), None if (0, 0) in history.now.chips else history.now.classes[0].key))
        if history.now.classes
        else history
    )
    start, steps = history.now, len(history.before)
    for grid in slid:
        history = history.done(Regrid(grid))
    history = history.done(Regrid(start.grid))
    assert history.now == start
    assert len(history.before) <= steps + 1


def test_a_drag_is_one_step() -> None:
    history = History(Labelling(GRID)).done(Paint(((0, 0), (0, 1), (0, 2)), 1))
    assert history.now.counts == {1: 3, 2: 0}
    assert not history.undone().now.chips


def test_what_was_undone_is_gone_once_something_else_is_done() -> None:
    history = History(Labelling(GRID)).done(Paint(((0, 0),), 1)).undone().done(Paint(((1, 1),), 2))
    assert history.redone() is history


def test_two_chips_of_two_classes_are_needed() -> None:
    labelling = Labelling(GRID)
    assert labelling.needs == ("Label at least 2 chips of two classes.",)
    labelling = applied(labelling, Paint(((0, 0),), 1))
    assert labelling.needs[0] == "class 1: one more chip, at least 2 are needed."
    labelling = applied(labelling, Paint(((0, 1), (2, 2), (2, 3)), 1))
    assert labelling.needs == ("Label at least 2 chips of a second class.",)
    labelling = applied(labelling, Paint(((5, 5), (5, 6)), 2))
    assert labelling.needs == ()


def test_a_class_without_chips_is_not_waited_for() -> None:
    labelling = applied(Labelling(GRID), AddClass("hole"))
    labelling = applied(labelling, Paint(((0, 0), (0, 1)), 1))
    labelling = applied(labelling, Paint(((4, 4), (4, 5)), 2))
    assert labelling.needs == ()
    assert list(labelling.chosen()) == ["class 1", "class 2"]


def test_a_chip_goes_along_when_the_grid_changes() -> None:
    labelling = applied(Labelling(GRID), Paint(((2, 3),), 1))
    finer = applied(labelling, Regrid(GRID.with_side_px(16)))
    # The middle of row 2, column 3 of 32 px is the corner of row 5, column 7 of 16 px.
    assert finer.chips == {(5, 7): 1}
    assert applied(labelling, Regrid(GRID.with_side_px(64))).chips == {(1, 1): 1}


def test_a_removed_class_takes_its_labels_along_and_leaves_its_key_free() -> None:
    labelling = applied(Labelling(GRID), Paint(((0, 0),), 1))
    labelling = applied(labelling, RemoveClass(1))
    assert not labelling.chips
    assert applied(labelling, AddClass("film")).classes[0].key == 1


@pytest.mark.parametrize("name", ["", "   ", "class 2", "CLASS 2", "None of these", "x" * 61])
def test_a_name_that_would_confuse_is_refused(name: str) -> None:
    with pytest.raises(LabelError):
        applied(Labelling(GRID), RenameClass(1, name))


def test_there_are_as_many_classes_as_keys() -> None:
    labelling = Labelling(GRID)
    for _ in range(MOST_CLASSES - 2):
        labelling = applied(labelling, AddClass())
    assert len({one.colour for one in labelling.classes}) == len(CLASS_PALETTE) == MOST_CLASSES
    with pytest.raises(LabelError, match="9 classes"):
        applied(labelling, AddClass())
