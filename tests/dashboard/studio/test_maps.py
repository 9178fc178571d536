"""What the maps page says of a place, whatever the model answers with."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from eucentric_core import ResultHeader
from eucentric_dashboard import LiveJoin, Picture
from eucentric_dashboard.chips import MapRequest, StudioImage, answer_layer, map_frame
from eucentric_dashboard.pages.live._message import frame_message
from eucentric_dashboard.pages.maps._colour_scale import STEPS, colour_scale
from eucentric_dashboard.pages.maps._drift_card import drift_options
from eucentric_dashboard.pages.maps._export import view_csv
from eucentric_dashboard.pages.maps._view import LAYERS, view_of_answer, view_of_mapped
from eucentric_model_registry.support_sets import ImageOrigin

from ...models.fewshot.scenes import CHIP_PX, FILM, LATTICE, scene
from ..stand_in import answer_of, frame_of, uncertainty_of


def picture() -> Picture:
    """A frame that a model of atoms has answered."""
    one = Picture(7, frame_of(3), arrived_s=0.0)
    one.answer, one.rows = answer_of(3)
    one.deviation = uncertainty_of(3)[1]
    return one


def chips_picture(rows: int = 3, columns: int = 4, side: int = 16) -> Picture:
    """The same frame, answered by a model of chips."""
    one = picture()
    at = np.indices((rows, columns)).reshape(2, -1).T
    one.rows = np.column_stack(
        [at * side + (side - 1) / 2 + [4, 0], np.arange(len(at)) % 2, np.linspace(0.5, 1, len(at))]
    ).astype(np.float32)
    one.class_map = (np.arange(rows * columns) % 2).reshape(rows, columns).astype(np.int16)
    assert one.answer is not None
    one.class_map_header = ResultHeader.model_validate(
        one.answer.model_dump()
        | {
            "stream": "class_map",
            "classes": ("film", "none of these"),
            "shape": one.class_map.shape,
            "dtype": "int16",
        }
    )
    return one


def test_atoms_become_cells_with_the_commonest_class() -> None:
    view = view_of_answer(picture())
    assert view is not None
    assert (view.grid.side_px, view.grid.rows, view.grid.columns) == (8, 8, 8)
    assert set(view.layers) == {"Prediction", "Confidence", "Uncertainty"}
    assert view.source == "atoms v1 at the edge"
    found = view.picked((1, 1))
    assert dict(found.facts)["Found here"] == "1"
    assert dict(found.facts)["Confidence"] == "0.9"
    assert dict(view.picked((0, 0)).facts)["Class"] == "nothing found"
    assert found.nearest == ()
    # The stand-in's uncertainty rises from left to right.
    spread = view.figures["Uncertainty"].reshape(8, 8)
    assert (np.diff(spread, axis=1) > 0).all()


def test_chips_of_the_edge_lie_where_the_edge_cut_them() -> None:
    found = answer_layer(chips_picture(), ())
    assert found is not None
    assert (found.grid.side_px, found.grid.offset_px) == (16, (4, 0))
    view = view_of_answer(chips_picture())
    assert view is not None
    assert dict(view.picked((0, 1)).facts)["Class"] == "none of these"
    assert view.legend[-1][0] == "none of these"


def header_sent(one: Picture) -> dict[str, object]:
    """What a browser is told about a live frame."""
    message = frame_message(one, "normal", with_uncertainty=False, age_s=0.0)
    (length,) = struct.unpack_from("<I", message)
    return dict(json.loads(message[4 : 4 + length]))


def test_the_live_image_is_told_how_large_the_chips_of_an_answer_are() -> None:
    assert header_sent(chips_picture())["chip_px"] == 16
    assert header_sent(picture())["chip_px"] is None


def test_a_map_is_shown_though_the_edge_is_far_behind() -> None:
    join = LiveJoin()
    join.take_frame(frame_of(1), now_s=0.0)
    join.take_detections(*answer_of(1))
    join.take_frame(frame_of(2), now_s=60.0)
    newest = join.choose(with_uncertainty=False)
    assert newest is not None
    assert newest.answer is None
    assert join.answered is not None
    assert join.answered.frame.header.sequence == 1
    assert view_of_answer(join.answered) is not None


def test_chips_whose_map_is_on_its_way_are_not_taken_for_atoms() -> None:
    one = chips_picture()
    assert one.class_map_header is not None
    one.class_map, one.answer = None, one.class_map_header
    assert view_of_answer(one) is None
    assert header_sent(one)["rows_bytes"] == 0


def test_a_frame_without_an_answer_has_no_map() -> None:
    assert view_of_answer(Picture(1, frame_of(1), arrived_s=0.0)) is None


@pytest.fixture(scope="module")
def image() -> StudioImage:
    array = scene((LATTICE, FILM), rows=3, columns=2).image
    return StudioImage(array, 20e-12, ImageOrigin(kind="file", file="scene.npy"), "scene.npy")


def test_by_a_support_set_every_layer_and_the_nearest_support_chips_are_there(image: StudioImage) -> None:
    chosen = {"lattice": [(0, 0), (1, 1), (2, 0)], "film": [(0, 2), (1, 3), (2, 2)]}
    mapped = map_frame(MapRequest(image.array, image.pixel_size_m, CHIP_PX, (0, 0), chosen))
    view = view_of_mapped(image, mapped, (), "oxide v1")
    assert set(view.layers) == set(LAYERS)
    found = view.picked((1, 2))
    assert dict(found.facts)["Class"] == "film"
    assert len(found.nearest) == 5
    assert found.nearest[0][0] == "film"
    distances = [far for _, _, far, _ in found.nearest]
    assert distances == sorted(distances)
    table = view_csv(view).decode().splitlines()
    assert table[0] == "row,column,y_px,x_px,y_nm,x_nm,class,confidence,out of distribution,uncertainty"
    assert len(table) == 1 + 12


def test_a_figure_is_drawn_from_dark_to_bright() -> None:
    brightness = [sum(int(colour[i : i + 2], 16) for i in (1, 3, 5)) for colour in colour_scale()]
    assert len(brightness) == STEPS
    assert brightness == sorted(brightness)


def test_the_course_is_drawn_with_its_limit() -> None:
    options = drift_options([(3, 0.25), (4, 1.5)], limit=1.0)
    assert options["series"][0]["data"] == [[3, 0.25], [4, 1.5]]
    assert options["series"][0]["markLine"]["data"][0]["yAxis"] == 1.0
