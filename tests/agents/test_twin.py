"""The digital twin behaves like a microscope: atoms where it says, dose, damage, drift, a stage that errs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from eucentric_agents.drivers import MoveHaltedError
from eucentric_agents.drivers.twin import play
from eucentric_core import CommandRefusedError, ConfigurationError, Frame
from eucentric_core.vocabulary import (
    BeamBlank,
    BeamUnblank,
    MoveReport,
    OpticsDefocus,
    OpticsFieldOfView,
    ScanAcquire,
    SessionStart,
    SimulationDrift,
    StageGet,
    StageMove,
)

from .rig import Opened, OpenTwin, state_of, wait_until

SCAN = ScanAcquire(height_px=256, width_px=256)
STILL = {"extent_m": 20e-9, "drift_m_per_s": [0.0, 0.0], "knock_on_cross_section_m2": 0.0}


def ready(opened: Opened) -> Opened:
    """Open a session and let the beam on."""
    opened.instrument.execute(SessionStart(session="s"))
    opened.instrument.execute(BeamUnblank(max_duration_s=600))
    return opened


def scanned(opened: Opened) -> tuple[Frame, Frame]:
    """Scan once; the image and its truth."""
    opened.instrument.execute(SCAN)
    return opened.of("haadf")[-1], opened.of("truth")[-1]


def intensity_at(image: Frame, positions_px: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean of 3x3 pixels around each position that lies well inside."""
    inside = np.all((positions_px > 3) & (positions_px < np.array(image.array.shape) - 4), axis=1)
    rows = np.rint(positions_px[inside]).astype(int)
    return np.array([image.array[y - 1 : y + 2, x - 1 : x + 2].mean() for y, x in rows])


def rows_of(truth: Frame) -> NDArray[np.float32]:
    """The rows `y_px, x_px, class_id` of a truth frame."""
    assert truth.array.dtype == np.float32
    return cast(NDArray[np.float32], truth.array)


def of_class(truth: Frame, name: str) -> NDArray[np.float32]:
    """Positions of one class in a truth frame."""
    rows = rows_of(truth)
    return rows[rows[:, 2] == truth.header.classes.index(name)][:, :2]


def far_from(truth: Frame, distance_px: float) -> NDArray[np.float32]:
    """Positions on a grid that no column is near."""
    grid = np.stack(np.meshgrid(*[np.arange(5.0, 250.0, 3.0)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    nearest = np.linalg.norm(grid[:, None, :] - rows_of(truth)[None, :, :2], axis=2).min(axis=1)
    return grid[nearest > distance_px].astype(np.float32)


@pytest.mark.parametrize("material", ["mos2", "graphene"])
def test_atoms_are_where_the_truth_says_and_heavy_ones_are_brighter(twin: OpenTwin, material: str) -> None:
    opened = ready(twin(material=material, specimen={**STILL, "dopant_fraction": 0.1}))
    image, truth = scanned(opened)
    assert truth.header.sequence == image.header.sequence
    assert (truth.header.stream, truth.array.shape[1], truth.header.dtype) == ("truth", 3, "float32")
    assert image.header.material == material
    light = intensity_at(image, of_class(truth, truth.header.classes[0]))
    heavy = intensity_at(image, of_class(truth, "dopant"))
    between = intensity_at(image, far_from(truth, 0.11e-9 / image.header.pixel_size_m))
    # Graphene at this dose scatters less than an electron per atom and pixel: only the mean tells.
    error = between.std() / np.sqrt(len(between)) + light.std() / np.sqrt(len(light))
    assert light.mean() > between.mean() + 5 * error
    assert heavy.mean() > 1.3 * (light.mean() - between.mean()) + between.mean()


def test_truth_is_published_before_the_image_it_belongs_to(twin: OpenTwin) -> None:
    opened = ready(twin())
    scanned(opened)
    scanned(opened)
    assert [(f.header.stream, f.header.sequence) for f in opened.frames] == [
        ("truth", 0),
        ("haadf", 0),
        ("truth", 1),
        ("haadf", 1),
    ]


def test_a_blanked_beam_gives_a_dark_frame_without_truth_or_dose(twin: OpenTwin) -> None:
    opened = ready(twin())
    bright, _ = scanned(opened)
    opened.instrument.execute(BeamBlank())
    dose_before = state_of(opened.instrument).dose_e_per_a2
    dark, truth = scanned(opened)
    assert dark.array.mean() == pytest.approx(500, abs=1)  # the detector's offset
    assert bright.array.mean() > dark.array.mean() + 10
    assert (truth.array.shape, dark.header.dose_e_per_a2) == ((0, 3), 0)
    assert dark.header.optics.beam_current_a == 0
    assert state_of(opened.instrument).dose_e_per_a2 == dose_before


def test_the_dose_of_a_frame_is_current_times_time_over_area_and_adds_up(twin: OpenTwin) -> None:
    opened = ready(twin(specimen=STILL))
    header = scanned(opened)[0].header
    electrons = 30e-12 * SCAN.dwell_time_s / 1.602176634e-19
    pixel_a = header.pixel_size_m * 1e10
    assert header.dose_e_per_a2 == pytest.approx(electrons / pixel_a**2)
    scanned(opened)
    accumulated = state_of(opened.instrument).dose_e_per_a2
    assert header.dose_e_per_a2 is not None
    assert accumulated == pytest.approx(2 * header.dose_e_per_a2, rel=0.01)


def test_the_beam_makes_vacancies_as_often_as_its_cross_section_says(twin: OpenTwin) -> None:
    cross_section_m2 = 2e-26
    opened = ready(
        twin(specimen={**STILL, "knock_on_cross_section_m2": cross_section_m2, "vacancy_fraction": 0})
    )
    first, truth = scanned(opened)
    columns = len(of_class(truth, "chalcogen"))
    for _ in range(9):
        last = scanned(opened)
    assert first.header.dose_e_per_a2 is not None
    fluence = 9 * first.header.dose_e_per_a2 * 1e20
    # Truth is what the frame was formed of: nine frames have damaged what the tenth shows. A column of
    # two atoms counts as a vacancy once it has lost either.
    expected = columns * (1 - np.exp(-2 * cross_section_m2 * fluence))
    vacancies = len(of_class(last[1], "vacancy"))
    assert len(of_class(truth, "vacancy")) == 0
    assert vacancies == pytest.approx(expected, abs=4 * np.sqrt(expected))
    assert len(of_class(last[1], "chalcogen")) == columns - vacancies


def test_without_a_cross_section_nothing_is_ejected(twin: OpenTwin) -> None:
    opened = ready(twin(specimen=STILL))
    before, after = scanned(opened)[1], scanned(opened)[1]
    np.testing.assert_array_equal(before.array, after.array)


def test_the_field_follows_the_actual_position_not_the_commanded_one(twin: OpenTwin) -> None:
    opened = ready(twin(specimen=STILL, stage={"backlash_m": 1e-9, "settle_time_s": 0}))
    before = scanned(opened)
    report = cast(MoveReport, opened.instrument.execute(StageMove(x_m=1.2e-9, y_m=-0.9e-9)))
    after = scanned(opened)
    assert report.actual is not None
    assert report.commanded.x_m == 1.2e-9
    assert abs(report.actual.x_m - report.commanded.x_m) > 0.2e-9
    assert abs(report.reported.x_m - report.commanded.x_m) <= 25e-12
    assert abs(report.actual.x_m - report.commanded.x_m) <= report.tolerance_m
    pixel_m = before[0].header.pixel_size_m
    shift = np.array([report.actual.y_m, report.actual.x_m]) / pixel_m
    moved = rows_of(before[1])[:, :2] - shift
    inside = moved[np.all((moved > 0) & (moved < 255), axis=1)]
    distance = np.abs(rows_of(after[1])[None, :, :2] - inside[:, None, :]).max(axis=2).min(axis=1)
    assert distance.max() < 0.01


def test_a_place_approached_from_two_sides_is_two_places(twin: OpenTwin) -> None:
    backlash_m = 0.8e-9
    stage = {"backlash_m": backlash_m, "repeatability_m": 0.0, "settle_time_s": 0}
    instrument = twin(stage=stage).instrument
    actual = []
    for way in (3e-9, 1e-9, -3e-9, 1e-9):
        report = cast(MoveReport, instrument.execute(StageMove(x_m=way)))
        assert report.actual is not None
        actual.append(report.actual.x_m)
    assert actual[1] - actual[3] == pytest.approx(backlash_m)


@given(st.floats(-10, 10), st.lists(st.floats(-10, 10), min_size=1, max_size=20), st.floats(0, 4))
def test_the_load_is_never_further_from_its_drive_than_half_the_backlash(
    start: float, drives: list[float], backlash: float
) -> None:
    load = np.array([start])
    for drive in drives:
        previous = load
        load = play(load, np.array([drive]), backlash)
        assert abs(load[0] - drive) <= backlash / 2 + 1e-9
        if abs(previous[0] - drive) <= backlash / 2:
            assert load[0] == previous[0]


def test_a_halted_move_is_an_error_and_the_stage_stands_between(twin: OpenTwin) -> None:
    instrument = twin(stage={"speed_m_per_s": 1e-9, "backlash_m": 0.0}).instrument
    with ThreadPoolExecutor(1) as threads:
        move = threads.submit(instrument.execute, StageMove(x_m=9e-9))
        wait_until(lambda: state_of(instrument).stage.x_m > 0)
        instrument.safe_state()
        with pytest.raises(MoveHaltedError):
            move.result(timeout=30)
    report = cast(MoveReport, instrument.execute(StageGet()))
    assert report.commanded.x_m == 9e-9
    assert 0 < report.reported.x_m < 8e-9


@pytest.mark.parametrize(
    "command",
    [
        StageMove(x_m=11e-9),
        StageMove(z_m=1e-6),
        OpticsFieldOfView(field_of_view_m=1e-6),
        OpticsDefocus(defocus_m=1e-5),
        SimulationDrift(beam_current_factor=10, field_of_view_factor=5, defocus_change_m=9e-7),
        ScanAcquire(height_px=8192, width_px=8192),
    ],
)
def test_what_is_out_of_range_is_refused_and_changes_nothing(twin: OpenTwin, command: StageMove) -> None:
    opened = ready(twin())
    before = state_of(opened.instrument)
    with pytest.raises(CommandRefusedError):
        opened.instrument.execute(command)
    assert state_of(opened.instrument) == before


def test_conditions_drift_gradually_to_where_they_were_sent(twin: OpenTwin) -> None:
    opened = ready(twin(specimen=STILL))
    opened.instrument.execute(
        SimulationDrift(
            field_of_view_factor=1.6, defocus_change_m=8e-9, beam_current_factor=0.5, over_frames=4
        )
    )
    headers = [scanned(opened)[0].header for _ in range(6)]
    fields = [header.optics.field_of_view_m or 0.0 for header in headers]
    assert fields[0] < fields[1] < fields[2] < fields[3] == fields[4] == fields[5]
    assert headers[-1].pixel_size_m == pytest.approx(1.6 * 4e-9 / 256)
    assert headers[-1].optics.defocus_m == pytest.approx(8e-9)
    assert headers[-1].optics.beam_current_a == pytest.approx(15e-12)
    widths = [np.ptp(frame.array[:, 0]) for frame in opened.of("truth")]
    assert len(opened.of("truth")[-1].array) > 2 * len(opened.of("truth")[0].array)
    assert max(widths) <= 255


def test_defocus_blurs_the_atoms(twin: OpenTwin) -> None:
    opened = ready(twin(specimen=STILL))
    sharp, truth = scanned(opened)
    opened.instrument.execute(OpticsDefocus(defocus_m=12e-9))
    blurred, _ = scanned(opened)
    metals = of_class(truth, "metal")
    peaks = [intensity_at(image, metals).mean() - image.array.mean() for image in (sharp, blurred)]
    assert 0 < peaks[1] < 0.3 * peaks[0]


def test_the_specimen_drifts_in_scan_time(twin: OpenTwin) -> None:
    drifting = {**STILL, "drift_m_per_s": [5e-10, 0.0]}
    opened = ready(twin(specimen=drifting))
    first, second = rows_of(scanned(opened)[1]), rows_of(scanned(opened)[1])
    frame_time_s = SCAN.dwell_time_s * 256 * 256
    shift_px = 5e-10 * frame_time_s / (4e-9 / 256)
    near = np.abs(second[None, :, 1] - first[:, None, 1]).argmin(axis=1)
    same = np.abs(second[near, 1] - first[:, 1]) < 1e-3
    assert same.sum() > 0.9 * len(first)
    steps = first[same, 0] - second[near[same], 0]
    assert np.median(steps) == pytest.approx(shift_px, rel=0.01)


def test_the_same_seed_gives_the_same_frames_and_another_gives_others(twin: OpenTwin) -> None:
    one, same, other = (scanned(ready(twin(seed=seed)))[0].array for seed in (7, 7, 8))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_an_option_of_a_section_is_checked_too(twin: OpenTwin) -> None:
    with pytest.raises(ConfigurationError, match=r"agent\.driver\.stage\.backlash"):
        twin(stage={"backlash": 1e-9})
    with pytest.raises(ConfigurationError, match=r"agent\.driver\.specimen\.extent_m"):
        twin(specimen={"extent_m": 1.0})


def test_a_field_of_view_wider_than_the_crystal_is_refused_at_the_start(twin: OpenTwin) -> None:
    with pytest.raises(CommandRefusedError, match="field of view"):
        twin(column={"field_of_view_m": 90e-9})
