"""What the chips of an image add to support chips that were all taken from one spot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from eucentric_models.fewshot import (
    ChipEncoder,
    GreyScale,
    ImageRefinement,
    PrototypeClassifier,
    distances_to,
    fit_prototypes,
    open_encoder,
)
from eucentric_models.fewshot.textures import TextureImaging, textures_of_image

ROWS, COLUMNS, CLASSES, PX = 6, 3, 3, 64
TRUTH = np.tile(np.repeat(np.arange(CLASSES), COLUMNS), ROWS)


@dataclass(frozen=True)
class Embedded:
    """An image of three textures, each of two places, and five chips of each from its upper corner."""

    chips: NDArray[np.float32]
    support: NDArray[np.intp]

    @property
    def vectors(self) -> NDArray[np.float32]:
        return self.chips[self.support]

    @property
    def class_id(self) -> NDArray[np.intp]:
        return TRUTH[self.support]

    @property
    def given(self) -> PrototypeClassifier:
        return PrototypeClassifier.fit(self.vectors, self.class_id)

    @property
    def refinement(self) -> ImageRefinement:
        return ImageRefinement.of(self.given, self.vectors, self.class_id, self.chips)


def _embedded(encoder: ChipEncoder, seed: int) -> Embedded:
    rng = np.random.default_rng((77, seed))
    half = (ROWS // 2 * PX, COLUMNS * PX)
    textures = textures_of_image(CLASSES, rng)
    signal = np.block([[one.draw(half, rng) for one in textures] for _ in range(2)])
    image = TextureImaging.random(rng).expose(signal, rng)
    chips = GreyScale.of(image).applied(image).reshape(ROWS, PX, CLASSES * COLUMNS, PX).swapaxes(1, 2)
    corner = np.concatenate([np.flatnonzero(index == TRUTH)[:5] for index in range(CLASSES)])
    return Embedded(encoder.embed(np.ascontiguousarray(chips).reshape(-1, PX, PX)), corner)


@pytest.fixture(scope="module")
def images() -> list[Embedded]:
    encoder = open_encoder()
    return [_embedded(encoder, seed) for seed in range(10)]


def _right(classifier: PrototypeClassifier, image: Embedded) -> float:
    return float((classifier.classify(image.chips, 0.005).class_id == TRUTH).mean())


def test_more_chips_find_their_class_than_by_the_support_alone(images: list[Embedded]) -> None:
    alone = np.mean([_right(image.given, image) for image in images])
    refined = np.mean([_right(image.refinement.classifier, image) for image in images])
    assert refined > alone + 0.02


def test_fewer_are_called_none_of_these_where_all_are_of_a_class(images: list[Embedded]) -> None:
    alone, refined = (
        np.mean([(one.classify(image.chips, 0.005).class_id < 0).mean() for one, image in pairs])
        for pairs in (
            [(image.given, image) for image in images],
            [(image.refinement.classifier, image) for image in images],
        )
    )
    assert refined < 0.7 * alone


def test_the_same_support_chips_drawn_again_lead_to_the_same_prototypes(images: list[Embedded]) -> None:
    image = images[0]
    everything = np.arange(len(image.support))
    alone = distances_to(*fit_prototypes(image.vectors, image.class_id), image.chips)
    expected = image.refinement.classifier.classify(image.chips, 0).distances
    np.testing.assert_allclose(image.refinement.distances_with(alone, everything), expected, atol=1e-5)


def test_an_image_that_shows_nothing_typical_leaves_the_prototypes_alone(images: list[Embedded]) -> None:
    image = images[0]
    strange = -image.chips
    refined = ImageRefinement.of(image.given, image.vectors, image.class_id, strange)
    assert not refined.typical.any()
    np.testing.assert_allclose(refined.classifier.prototypes, image.given.prototypes, atol=1e-5)
    assert (refined.classifier.classify(strange, 0.005).class_id < 0).all()
