"""A surrogate learns a property from few measurements, and chooses the next one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eucentric_models import InvalidFrameError, WeightsError
from eucentric_models.surrogate import (
    ACQUISITIONS,
    AcquisitionLog,
    AcquisitionRecord,
    PatchGrid,
    SurrogateSpec,
    expected_improvement,
    explore,
    max_variance,
    patches_at,
    simulate_landscape,
    upper_confidence_bound,
)

torch = pytest.importorskip("torch")
pytest.importorskip("gpytorch", reason="the extra dkl is not installed")

from eucentric_models.surrogate.process import DeepKernelProcess  # noqa: E402 - after it is known to be there

SPEC = SurrogateSpec(patch_px=9, hidden=16)


def process(seed: int = 1, steps: int = 60) -> DeepKernelProcess:
    return DeepKernelProcess(SPEC, torch.Generator().manual_seed(seed), steps=steps)


def line() -> tuple[np.ndarray, np.ndarray]:
    """Patches of one brightness each, whose property is that brightness."""
    level = np.linspace(-1, 1, 24)
    return np.repeat(level[:, None], 81, axis=1).astype(np.float32), 5.0 + 2.0 * level


class TestAcquisition:
    def test_improvement_is_expected_of_the_better_or_of_the_less_known(self) -> None:
        mean, deviation = np.array([0.5, 1.5, 0.5]), np.array([0.1, 0.1, 2.0])
        worth = expected_improvement(mean, deviation, 1.0)
        assert worth[0] == pytest.approx(0, abs=1e-4)
        assert worth[1] == pytest.approx(0.5, abs=1e-4)
        assert worth[2] > worth[1]
        assert expected_improvement(np.array([2.0]), np.array([0.0]), 1.0)[0] == pytest.approx(1.0)

    def test_the_others_are_what_they_are_called(self) -> None:
        mean, deviation = np.array([1.0, 2.0]), np.array([0.5, 0.1])
        assert upper_confidence_bound(mean, deviation, 9.0).tolist() == [2.0, 2.2]
        assert max_variance(mean, deviation, 9.0).tolist() == [0.5, 0.1]


class TestProcess:
    def test_predicts_what_it_has_not_measured(self) -> None:
        patches, values = line()
        known = process(steps=150)
        known.fit(patches[::2], values[::2])
        between = slice(1, 22, 2)
        mean, deviation = known.predict(patches[between])
        assert np.abs(mean - values[between]).max() < 0.3
        assert (deviation > 0).all()

    def test_survives_the_way_through_bytes(self) -> None:
        patches, values = line()
        known = process()
        known.fit(patches, values)
        again = DeepKernelProcess.from_bytes(SPEC, known.to_bytes())
        for before, after in zip(known.predict(patches), again.predict(patches), strict=True):
            np.testing.assert_allclose(before, after, rtol=1e-10)

    def test_changes_no_default_and_draws_from_no_global_generator(self) -> None:
        torch.manual_seed(5)
        state = torch.get_rng_state()
        patches, values = line()
        known = process(steps=3)
        known.fit(patches, values)
        known.predict(patches)
        assert torch.get_default_dtype() == torch.float32
        assert torch.tensor(1.0).dtype == torch.float32
        assert torch.equal(torch.get_rng_state(), state)

    def test_refuses_bytes_that_are_not_its_own(self) -> None:
        patches, values = line()
        known = process(steps=2)
        with pytest.raises(ValueError, match="not been fitted"):
            known.predict(patches)
        known.fit(patches, values)
        with pytest.raises(WeightsError):
            DeepKernelProcess.from_bytes(SPEC, b"nothing")
        with pytest.raises(WeightsError, match="cannot be used"):
            DeepKernelProcess.from_bytes(SPEC.model_copy(update={"hidden": 8}), known.to_bytes())


class TestExploring:
    def test_finds_the_best_of_a_line_in_a_few_measurements_and_says_why(self, tmp_path: Path) -> None:
        patches, values = line()
        positions = np.column_stack([np.arange(24), np.zeros(24, int)])
        told: list[AcquisitionRecord] = []
        log = explore(
            process(steps=40),
            patches,
            positions,
            lambda index: float(values[index]),
            acquisition="ei",
            initial=4,
            budget=16,
            rng=np.random.default_rng(2),
            enough=lambda value: value >= values.max(),
            told=told.append,
        )
        assert log.best == values.max()
        assert len(log.records) <= 10
        assert told == list(log.records)
        assert [record.chosen_by for record in log.records[:4]] == ["chance"] * 4
        last = log.records[-1]
        assert (last.chosen_by, last.y_px) == ("ei", 23)
        assert last.expected is not None
        places = {(record.y_px, record.x_px) for record in log.records}
        assert len(places) == len(log.records)
        log.write(tmp_path / "log.json")
        assert AcquisitionLog.model_validate_json((tmp_path / "log.json").read_text()) == log
        assert len(json.loads((tmp_path / "log.json").read_text())["records"]) == len(log.records)

    @pytest.mark.parametrize("changes", [{"acquisition": "magic"}, {"initial": 1}, {"budget": 99}])
    def test_what_cannot_be_is_refused(self, changes: dict[str, object]) -> None:
        patches, _ = line()
        options: dict[str, object] = {"acquisition": "ei", "initial": 4, "budget": 8, **changes}
        with pytest.raises(ValueError, match=r"must be one of|first candidates"):
            explore(
                process(),
                patches,
                np.zeros((24, 2), int),
                lambda index: 0.0,
                rng=np.random.default_rng(1),
                **options,  # type: ignore[arg-type]
            )

    def test_every_acquisition_function_has_a_name(self) -> None:
        assert set(ACQUISITIONS) == {"ei", "ucb", "max-variance"}


def test_patches_are_cut_where_they_are_asked_for_and_never_beyond_the_edge() -> None:
    image = np.arange(20.0 * 30).reshape(20, 30)
    grid = PatchGrid.of_image((20, 30), patch_px=5, stride_px=3)
    patches = patches_at(image, grid.positions_px, 5)
    assert patches.shape == (len(grid.positions_px), 25)
    y, x = grid.positions_px[7]
    standard = (image - image.mean()) / image.std()
    np.testing.assert_allclose(patches[7].reshape(5, 5), standard[y - 2 : y + 3, x - 2 : x + 3], rtol=1e-5)
    with pytest.raises(InvalidFrameError, match="beyond its edge"):
        patches_at(image, np.array([[1, 10]]), 5)
    with pytest.raises(InvalidFrameError, match="less than a patch"):
        PatchGrid.of_image((4, 30), patch_px=5, stride_px=1)


def test_the_best_places_of_a_simulated_landscape_are_rare() -> None:
    landscape = simulate_landscape((96, 96), np.random.default_rng(1))
    share = (landscape.property > 0.95 * landscape.property.max()).mean()
    assert 0 < share < 0.05
