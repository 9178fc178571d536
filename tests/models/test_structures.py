"""Structures that ASE knows, as start materials."""

from __future__ import annotations

import numpy as np
import pytest

from eucentric_models import DEMO_CONDITIONS, SRTIO3, Site
from eucentric_models.structures import StructureMaterial, material_from_atoms

ase_build = pytest.importorskip("ase.build", reason="the extra `structures` is not installed")
spacegroup = pytest.importorskip("ase.spacegroup")


@pytest.fixture(scope="module")
def strontium_titanate() -> StructureMaterial:
    atoms = spacegroup.crystal(
        ["Sr", "Ti", "O"],
        [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0)],
        spacegroup=221,
        cellpar=[3.905, 3.905, 3.905, 90, 90, 90],
    )
    return material_from_atoms("srtio3-001", atoms, thickness_cells=10)


def test_columns_are_those_of_the_material_that_was_written_down_by_hand(
    strontium_titanate: StructureMaterial,
) -> None:
    assert strontium_titanate.classes == ("Sr", "Ti-O", "O", "vacancy")
    assert strontium_titanate.detectable_classes == ("Sr", "Ti-O")
    by_hand: dict[int, Site] = {0: SRTIO3.sites[0], 1: SRTIO3.sites[1], 2: SRTIO3.sites[2]}
    for class_id, site in by_hand.items():
        weights = strontium_titanate.weight[strontium_titanate.class_id == class_id]
        np.testing.assert_allclose(weights, site.weight)
    assert sorted(strontium_titanate.class_id.tolist()) == [0, 1, 2, 2]


def test_a_frame_can_be_made_of_it_again_with_the_same_chance(strontium_titanate: StructureMaterial) -> None:
    one, other = (
        strontium_titanate.simulate(DEMO_CONDITIONS.initial, (96, 80), np.random.default_rng(3))
        for _ in range(2)
    )
    assert one.frame.shape == (96, 80)
    np.testing.assert_array_equal(one.frame, other.frame)
    counts = np.bincount(one.truth[:, 2].astype(int), minlength=4)
    assert counts[2] == pytest.approx(2 * counts[0], abs=8)


def test_vacancies_are_named_as_such(strontium_titanate: StructureMaterial) -> None:
    hurt = material_from_atoms("mos2", ase_build.mx2("MoS2", a=3.16, vacuum=5), vacancy_fraction=0.2)
    columns = hurt.columns((4e-9, 4e-9), np.random.default_rng(0))
    assert (columns.class_id == len(hurt.classes) - 1).mean() == pytest.approx(0.2, abs=0.06)
    assert hurt.classes == ("Mo", "S", "vacancy")


def test_a_crystal_that_is_not_turned_to_the_beam_is_refused() -> None:
    with pytest.raises(ValueError, match="plane of the image"):
        material_from_atoms("au", ase_build.bulk("Au"))
    with pytest.raises(ValueError, match="out of bounds"):
        material_from_atoms("au", ase_build.bulk("Au", cubic=True), thickness_cells=0)
