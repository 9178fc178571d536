from __future__ import annotations

import numpy as np
import pytest

from eucentric_models import (
    GRAPHENE,
    MOS2,
    Material,
    UnknownMaterialError,
    build_crystal,
    material_named,
)

SIDE_M = 8e-9


def test_columns_sit_at_the_bond_lengths_of_the_material() -> None:
    for material, bond_m in ((MOS2, 1.825e-10), (GRAPHENE, 1.42e-10)):
        crystal = build_crystal(material, (SIDE_M, SIDE_M), np.random.default_rng(1))
        inner = crystal.rows_within((0, 0), (2e-9, 2e-9))
        offsets = crystal.positions_m[inner][:, None] - crystal.positions_m[None]
        distances = np.sort(np.hypot(*np.moveaxis(offsets, -1, 0)), axis=1)
        np.testing.assert_allclose(distances[:, 1:4], bond_m, rtol=5e-3)


def test_density_is_that_of_the_unit_cell() -> None:
    crystal = build_crystal(MOS2, (SIDE_M, SIDE_M), np.random.default_rng(2))
    cell_m2 = MOS2.lattice_constant_m**2 * np.sqrt(3) / 2
    assert len(crystal) == pytest.approx(2 * SIDE_M**2 / cell_m2, rel=0.03)


@pytest.mark.parametrize("material", [MOS2, GRAPHENE], ids=lambda material: material.name)
def test_defects_appear_at_the_asked_rate_and_change_the_weight(material: Material) -> None:
    crystal = build_crystal(
        material, (2e-8, 2e-8), np.random.default_rng(3), vacancy_fraction=0.1, dopant_fraction=0.1
    )
    classes = crystal.classes
    dopant = crystal.class_id == classes.index("dopant")
    vacancy = crystal.class_id == classes.index("vacancy")
    undamaged = crystal.class_id == classes.index(material.vacancy_host)
    host_share = 2 if material is MOS2 else 1
    assert dopant.sum() * host_share / len(crystal) == pytest.approx(0.1, rel=0.3)
    assert vacancy.sum() * host_share / len(crystal) == pytest.approx(0.1, rel=0.5)
    assert crystal.weight[dopant].min() > crystal.weight[undamaged].max()
    assert crystal.weight[vacancy & (crystal.atom_weight == crystal.atom_weight[undamaged][0])].max() < (
        crystal.weight[undamaged].min()
    )
    assert classes[-1] == "vacancy"
    assert "vacancy" not in material.detectable_classes


def test_beam_damage_takes_one_atom_at_a_time_and_leaves_the_crystal_it_started_from_alone() -> None:
    crystal = build_crystal(MOS2, (SIDE_M, SIDE_M), np.random.default_rng(4), vacancy_fraction=0)
    sulphur = np.flatnonzero(crystal.class_id == MOS2.classes.index("chalcogen"))[:1]
    once = crystal.without_atoms(sulphur)
    twice = once.without_atoms(sulphur)
    assert once.weight[sulphur[0]] == pytest.approx(crystal.weight[sulphur[0]] / 2)
    assert twice.weight[sulphur[0]] == 0
    assert twice.without_atoms(sulphur).weight[sulphur[0]] == 0
    assert crystal.class_id[sulphur[0]] == MOS2.classes.index("chalcogen")
    with pytest.raises(ValueError, match="read-only"):
        crystal.weight[0] = 1


def test_the_same_generator_state_grows_the_same_crystal() -> None:
    first = build_crystal(MOS2, (SIDE_M, SIDE_M), np.random.default_rng(5))
    second = build_crystal(MOS2, (SIDE_M, SIDE_M), np.random.default_rng(5))
    other = build_crystal(MOS2, (SIDE_M, SIDE_M), np.random.default_rng(6))
    np.testing.assert_array_equal(first.positions_m, second.positions_m)
    np.testing.assert_array_equal(first.class_id, second.class_id)
    assert first.rotation_rad != other.rotation_rad


def test_unknown_materials_and_impossible_shares_are_refused() -> None:
    with pytest.raises(UnknownMaterialError, match="unobtainium"):
        material_named("unobtainium")
    with pytest.raises(ValueError, match="shares"):
        build_crystal(MOS2, (SIDE_M, SIDE_M), np.random.default_rng(0), dopant_fraction=1.5)
    with pytest.raises(ValueError, match="extent_m"):
        build_crystal(MOS2, (0.0, SIDE_M), np.random.default_rng(0))
