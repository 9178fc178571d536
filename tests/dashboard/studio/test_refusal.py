"""Labels of which no map came: a busy hub is asked again, what the labels cannot give is not."""

from __future__ import annotations

import numpy as np

from eucentric_core import DataFormatError, EucentricError, ServiceUnavailableError
from eucentric_dashboard.chips import StudioImage
from eucentric_dashboard.pages.studio._desk import Desk, Work
from eucentric_dashboard.pages.studio._labels import Paint, Regrid
from eucentric_dashboard.pages.studio._refusal import Refusal
from eucentric_model_registry.support_sets import ImageOrigin

HOUR_S = 3600.0


def works() -> tuple[Work, Work]:
    """What is to be mapped, before and after one more chip was labelled."""
    desk = Desk()
    desk.open_image(
        StudioImage(np.eye(64, dtype=np.float32), 20e-12, ImageOrigin(kind="file", file="eye.npy"), "eye.npy")
    )
    assert desk.labelling is not None
    desk.do(Regrid(desk.labelling.grid.with_side_px(16)))
    desk.do(Paint(((0, 0), (1, 1)), 1))
    desk.do(Paint(((0, 2), (1, 3)), 2))
    first = desk.work
    desk.do(Paint(((2, 2),), 1))
    second = desk.work
    assert first is not None
    assert second is not None
    return first, second


def refusal(work: Work, kind: type[EucentricError]) -> Refusal:
    error = kind("No map.", safe="the labels stay.", next_step="look again.")
    return Refusal.of(work, error, now_s=100.0)


def test_a_hub_that_was_too_busy_is_asked_again() -> None:
    work, _ = works()
    refused = refusal(work, ServiceUnavailableError)

    assert refused.holds_for(work, now_s=101.0)
    assert not refused.holds_for(work, now_s=111.0)
    assert "tried again" in refused.words


def test_what_the_labels_cannot_give_is_asked_for_again_once_something_else_is_labelled() -> None:
    work, after_another_label = works()
    refused = refusal(work, DataFormatError)

    assert refused.holds_for(work, now_s=100.0 + HOUR_S)
    assert not refused.holds_for(after_another_label, now_s=101.0)
    assert refused.words == "no map"
