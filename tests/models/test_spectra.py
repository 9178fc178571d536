"""Simulated series of spectra, and what forecasts them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eucentric_models import InvalidSpectraError, WeightsError
from eucentric_models.spectra import (
    ForecasterSpec,
    ReductionRecipe,
    edge_spectrum,
    fit_basis,
    simulate_reduction,
    windows_of,
)
from eucentric_models.spectra.forecaster import Forecaster, build_forecaster, load_member, member_to_bytes

ENERGY_EV = 440.0 + 1.0 * np.arange(120)
SPEC = ForecasterSpec(channels=120, components=3, history=5, horizon=2, hidden=8)


def series(seed: int, **changes: object) -> tuple[np.ndarray, np.ndarray]:
    recipe = ReductionRecipe.model_validate({"times": 40, **changes})
    return simulate_reduction(edge_spectrum(ENERGY_EV), ENERGY_EV, recipe, np.random.default_rng(seed))


def member(seed: int = 1) -> bytes:
    basis = fit_basis(windows_of(series(1)[1], history=5, horizon=2)[0].reshape(-1, 120), 3)
    return member_to_bytes(build_forecaster(SPEC, torch.Generator().manual_seed(seed)), basis)


def test_reduction_moves_the_titanium_lines_down_and_weakens_oxygen() -> None:
    expected, _ = series(3, rate_per_step=(0.1, 0.1), induction_steps=0, spectrometer_drift_ev=0)
    first, last = expected[0], expected[-1]

    def centre(spectrum: np.ndarray, low: float, high: float) -> float:
        lines = (low <= ENERGY_EV) & (high >= ENERGY_EV)
        above = spectrum[lines] - spectrum[lines].min()
        return float((above * ENERGY_EV[lines]).sum() / above.sum())

    assert centre(last, 455, 470) < centre(first, 455, 470) - 0.3
    oxygen = ENERGY_EV > 532
    assert last[oxygen].mean() < first[oxygen].mean() * 0.99
    assert (expected >= 0).all()


def test_the_same_seed_gives_the_same_series_and_counts_scatter_as_counts_do() -> None:
    (expected, counted), again = series(5), series(5)
    assert np.array_equal(counted, again[1])
    assert np.array_equal(counted, np.rint(counted))
    spread = (counted - expected) / np.sqrt(expected)
    assert spread.std() == pytest.approx(1, abs=0.05)


def test_a_basis_gives_back_what_lies_in_it_and_sees_less_noise_than_the_channels() -> None:
    expected, counted = series(7, mean_counts=(500, 500))
    basis = fit_basis(counted, 4)
    restored = basis.spectra(basis.scores(counted))
    assert ((restored - expected) ** 2).mean() < 0.5 * ((counted - expected) ** 2).mean()
    np.testing.assert_allclose(basis.scores(restored), basis.scores(counted), atol=1e-3)
    assert basis.scores(counted).std(axis=0) == pytest.approx(1, abs=0.05)


def test_windows_are_in_the_unit_of_their_history() -> None:
    counted = series(9)[1]
    before, after = windows_of(counted, history=5, horizon=2)
    louder, _ = windows_of(counted * 3, history=5, horizon=2)
    assert (before.shape, after.shape) == ((34, 5, 120), (34, 2, 120))
    np.testing.assert_allclose(before, louder, rtol=1e-5)
    assert before.mean(axis=(1, 2)) == pytest.approx(1, abs=1e-4)
    assert len(windows_of(counted[:6], history=5, horizon=2)[0]) == 0


def test_an_untrained_forecaster_forecasts_persistence_in_the_unit_of_the_series() -> None:
    counted = series(11)[1]
    forecaster = Forecaster(SPEC, [member(1), member(2)])
    ahead = forecaster.forecast(counted)
    assert ahead.shape == (2, 2, 120)
    np.testing.assert_array_equal(ahead[0, 0], ahead[0, 1])
    recent = counted[-3:].mean(axis=0)
    assert np.abs(ahead[0, 0] - recent).mean() < 0.1 * recent.mean()
    np.testing.assert_allclose(forecaster.forecast(counted * 4), ahead * 4, rtol=1e-4)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (np.ones((3, 120)), "3 spectra"),
        (np.ones((9, 119)), "119 channels"),
        (np.full((9, 120), np.inf), "NaN or infinity"),
        (np.ones(120), "not \\(times, channels\\)"),
        (np.ones((9, 120), complex), "complex"),
    ],
)
def test_a_series_that_does_not_fit_is_refused(bad: np.ndarray, words: str) -> None:
    with pytest.raises(InvalidSpectraError, match=words):
        Forecaster(SPEC, [member()]).forecast(bad)


def test_weights_that_are_none_or_of_another_architecture_are_refused() -> None:
    with pytest.raises(WeightsError, match="unreadable"):
        load_member(SPEC, b"no weights")
    with pytest.raises(WeightsError):
        load_member(SPEC.model_copy(update={"hidden": 16}), member())
    with pytest.raises(WeightsError, match="another architecture"):
        load_member(SPEC.model_copy(update={"energy_offset_ev": 1.0}), member())
    with pytest.raises(WeightsError, match="there are none"):
        Forecaster(SPEC, [])


def test_neither_building_nor_forecasting_draws_from_the_global_generator() -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    Forecaster(SPEC, [member()]).forecast(series(1)[1])
    assert torch.equal(torch.get_rng_state(), state)
