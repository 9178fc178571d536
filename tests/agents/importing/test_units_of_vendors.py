"""Units as files spell them become SI, and what is no unit is none."""

from __future__ import annotations

from math import radians

import pytest

from eucentric_agents.importing import axis_text
from eucentric_agents.vendor_files import SiUnit, metres_per_unit, says_no_unit, si_unit
from eucentric_core import Axis


@pytest.mark.parametrize(
    ("text", "symbol", "factor"),
    [
        ("nm", "m", 1e-9),
        ("µm", "m", 1e-6),
        ("μm", "m", 1e-6),
        ("\\u00B5m", "m", 1e-6),
        ("um", "m", 1e-6),
        ("microns", "m", 1e-6),
        ("Å", "m", 1e-10),
        ("Angstrom", "m", 1e-10),
        ("pm", "m", 1e-12),
        ("cm", "m", 1e-2),
        ("[n_m]", "m", 1e-9),
        ("1/nm", "1/m", 1e9),
        ("1 / nm", "1/m", 1e9),
        ("nm^-1", "1/m", 1e9),
        ("nm-1", "1/m", 1e9),
        ("A^-1", "1/m", 1e10),
        ("1/Å", "1/m", 1e10),
        ("nm⁻¹", "1/m", 1e9),
        ("eV", "eV", 1.0),
        ("keV", "eV", 1e3),
        ("meV", "eV", 1e-3),
        ("MeV", "eV", 1e6),
        ("mrad", "rad", 1e-3),
        ("µrad", "rad", 1e-6),
        ("deg", "rad", radians(1)),
        ("s", "s", 1.0),
        ("ms", "s", 1e-3),
    ],
)
def test_known_units(text: str, symbol: str, factor: float) -> None:
    found = si_unit(f" {text} ")
    assert found is not None
    assert found.symbol == symbol
    assert found.factor == pytest.approx(factor)


@pytest.mark.parametrize("text", ["", None, "px", "Pixels", "channels", "<undefined>"])
def test_no_unit(text: str | None) -> None:
    assert says_no_unit(text)
    assert si_unit(text) is None


@pytest.mark.parametrize("text", ["furlong", "mev", "counts", "1", "1/s", "m/s", "nm^-2", "x" * 1000, "1/"])
def test_what_nobody_knows_is_neither(text: str) -> None:
    assert si_unit(text) is None
    assert not says_no_unit(text)


def test_only_lengths_are_metres() -> None:
    assert metres_per_unit("nm") == 1e-9
    assert metres_per_unit("1/nm") is None
    assert si_unit("nm") == SiUnit("m", 1e-9)


@pytest.mark.parametrize(
    ("unit", "scale", "text"),
    [
        ("m", 2.966e-11, "29.66 pm"),
        ("m", 5.3e-9, "5.3 nm"),
        ("eV", 0.25, "0.25 eV"),
        ("1/m", 2e8, "0.2 1/nm"),
        ("rad", 1.2e-3, "1.2 mrad"),
        ("px", 1.0, "not calibrated"),
    ],
)
def test_scales_are_written_as_the_field_does(unit: str, scale: float, text: str) -> None:
    assert axis_text(Axis.model_validate({"name": "x", "unit": unit, "scale": scale})) == text
