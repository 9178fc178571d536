"""Simulated textures: what encoders are trained on."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from eucentric_models.fewshot.textures import (
    KINDS,
    AmorphousField,
    EpisodeSpec,
    FlatField,
    FringeField,
    InterfaceField,
    StepField,
    Texture,
    TextureImaging,
    draw_episode,
    draw_surface,
    random_field,
    textures_of_image,
)

SPEC = EpisodeSpec(images=2, textures_per_image=3, shots=2, queries=2, chip_px=32)
CLEAN = TextureImaging(1e4, 0, 0, 0, 0, 0, 0, 0, inverted=False)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_fields_their_places_and_their_relatives_have_unit_contrast(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    field = KINDS[kind][0](rng)
    for one in (field, field.again(rng), field.sibling(rng)):
        drawn = one.draw((48, 56), rng)
        assert drawn.shape == (48, 56)
        assert drawn.dtype == np.float32
        assert abs(drawn.mean()) < 1e-4
        assert drawn.std() == pytest.approx(1, abs=1e-3) or not drawn.any()


def test_an_episode_depends_on_its_seed_alone_and_has_the_grey_scale_of_its_images() -> None:
    first, second = (draw_episode(SPEC, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (6, 4, 32, 32)
    assert not np.array_equal(first, draw_episode(SPEC, np.random.default_rng(6)))
    for image in first.reshape(2, 3, 4, 32, 32):
        assert np.percentile(image, 1) == pytest.approx(0, abs=0.05)
        assert np.percentile(image, 99.5) == pytest.approx(1, abs=0.05)


def test_fringes_have_the_period_that_they_say() -> None:
    field = FringeField((8.0, 8.0), (0.0, 0.0), (1.0, 0.0), 0.0)
    power = np.abs(np.fft.rfft(field.draw((64, 64), np.random.default_rng(0)), axis=1)).sum(axis=0)
    assert power.argmax() == 64 / 8


def test_speckle_has_its_ring_where_it_says() -> None:
    drawn = AmorphousField(0.25, 0.02).draw((128, 128), np.random.default_rng(0))
    power = np.abs(np.fft.rfft2(drawn)) ** 2
    radius = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.rfftfreq(128)[None])
    assert (power * radius).sum() / power.sum() == pytest.approx(0.25, abs=0.02)


def test_steps_are_plateaus_along_their_direction() -> None:
    drawn = StepField(12.0, 0.0, 0.3).draw((64, 64), np.random.default_rng(1))
    assert drawn.std(axis=0).max() < 1e-3
    assert (np.abs(np.diff(drawn[0])) < 0.2).mean() > 0.7


def test_an_interface_shows_each_of_its_textures_on_its_side() -> None:
    fine = FringeField((4.0, 4.0), (0.0, 0.0), (1.0, 0.0), 0.0)
    coarse = FringeField((16.0, 16.0), (0.0, 0.0), (1.0, 0.0), 0.0)
    drawn = InterfaceField(fine, coarse, 0.0, 0.0, 0.5).draw((64, 64), np.random.default_rng(2))
    left, right = (np.abs(np.fft.rfft(half, axis=1)).sum(axis=0) for half in (drawn[:, :32], drawn[:, 32:]))
    assert (left.argmax(), right.argmax()) == (8, 2)


def test_fewer_electrons_make_more_noise() -> None:
    signal = np.full((64, 64), 0.5)
    noise = [
        TextureImaging(dose, 0, 0, 0, 0, 0, 0, 0, inverted=False)
        .expose(signal, np.random.default_rng(0))
        .std()
        for dose in (10, 1000)
    ]
    np.testing.assert_allclose(noise, [np.sqrt(0.5 / 10), np.sqrt(0.5 / 1000)], rtol=0.1)


def test_imaging_blurs_bends_and_inverts() -> None:
    signal = np.zeros((64, 64))
    signal[:, 32:] = 1
    rng = np.random.default_rng(0)
    sharp = CLEAN.expose(signal, rng)
    blurred = TextureImaging(1e4, 3, 0, 0, 0, 0, 0, 0, inverted=False).expose(signal, rng)
    assert np.abs(np.diff(blurred, axis=1)).max() < 0.3 < np.abs(np.diff(sharp, axis=1)).max()
    bright = TextureImaging(1e4, 0, 0, 0, 0, 0, 0, 0, inverted=True).expose(signal, rng)
    np.testing.assert_allclose(bright, 1 - sharp, atol=0.1)
    jittered = TextureImaging(1e4, 0, 0, 2, 0, 0, 0, 0, inverted=False).expose(signal, rng)
    edges = (jittered > 0.5).argmax(axis=1)
    assert edges.std() > 1


def test_textures_of_one_image_are_often_relatives_and_never_negative() -> None:
    rng = np.random.default_rng(3)
    related = 0
    for _ in range(30):
        first, second = textures_of_image(2, rng)
        related += type(first.field) is type(second.field)
        assert (second.draw((32, 32), rng) >= 0).all()
    assert related >= 12


def test_interfaces_are_some_of_the_fields() -> None:
    rng = np.random.default_rng(4)
    kinds = [type(random_field(rng)).__name__ for _ in range(200)]
    assert 8 <= kinds.count("InterfaceField") <= 50
    assert len(set(kinds)) == len(KINDS) + 1
    assert isinstance(Texture.random(rng).level, float)


def test_episodes_are_bounded() -> None:
    with pytest.raises(ValidationError):
        EpisodeSpec(shots=0)
    with pytest.raises(ValidationError):
        EpisodeSpec(chip_px=60)
    assert EpisodeSpec().ways == 24


@pytest.mark.parametrize("seed", range(3))
def test_a_film_fades_into_its_cover_and_the_truth_says_where_half_of_it_is_left(seed: int) -> None:
    first, second = (draw_surface((96, 120), 1, 24, np.random.default_rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    assert first.image.shape == first.region.shape == (96, 120)
    assert np.isfinite(first.image).all()
    assert len(first.textures) == 2
    # One side is the cover, the other the film, and both are worth a name.
    assert set(np.unique(first.region).tolist()) == {0, 1}
    assert 0.05 <= (first.region == 1).mean() <= 0.75
    assert isinstance(first.textures[-1].field, AmorphousField | FlatField)
