"""Simulated images of several textures side by side, with the truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric_core import GoldenChip
from eucentric_models.engines import BundleDraft
from eucentric_models.fewshot import (
    NONE_OF_THESE,
    ChipEncoder,
    ChipGrid,
    Chips,
    ChipsParameters,
    FewShotModel,
    RejectReference,
    SupportSet,
    cut_chips,
    open_encoder,
)
from eucentric_models.fewshot.textures import (
    AmorphousField,
    Field,
    FringeField,
    LatticeField,
    Texture,
    TextureImaging,
)

IMAGING = TextureImaging(
    dose_e_per_px=60,
    blur_px=0.6,
    filter_px=0,
    row_jitter_px=0.2,
    row_gain=0,
    slope=0.05,
    slope_rad=1.0,
    clouds=0.03,
    inverted=False,
)
CHIP_PX = 64
LATTICE = LatticeField.random(np.random.default_rng(3))
OTHER_LATTICE = LatticeField.random(np.random.default_rng(4))
FILM = AmorphousField(0.12, 0.04)
FRINGES = FringeField((9.0, 9.0), (0.7, 0.7), (1.0, 0.0), 0.0)


@dataclass(frozen=True)
class Scene:
    """An image whose textures stand side by side, each as many chips wide as the others.

    Attributes:
        image: (ny, nx) float32 counts.
        chips: of it.
        truth: (n,) which texture each chip shows.
    """

    image: NDArray[np.float32]
    chips: Chips
    truth: NDArray[np.intp]

    def places(self, texture: int, count: int) -> list[tuple[int, int]]:
        """Rows and columns of some chips of a texture, spread over its band."""
        (own,) = np.nonzero(self.truth == texture)
        spread = own[np.linspace(0, len(own) - 1, count).astype(int)]
        return [(int(self.chips.rows[i]), int(self.chips.columns[i])) for i in spread]


def scene(
    fields: tuple[Field, ...] = (LATTICE, OTHER_LATTICE, FILM),
    *,
    rows: int = 6,
    columns: int = 3,
    seed: int = 5,
) -> Scene:
    """Textures of one level and contrast, so that only their structure tells them apart."""
    rng = np.random.default_rng(seed)
    band = (rows * CHIP_PX, columns * CHIP_PX)
    signal = np.concatenate([Texture(field, 0.4, 0.1).draw(band, rng) for field in fields], axis=1)
    image = (1000 * IMAGING.expose(signal, rng)).astype(np.float32)
    chips = cut_chips(image, ChipGrid(chip_px=CHIP_PX))
    return Scene(image, chips, chips.columns // columns)


def support_of(one: Scene, encoder: ChipEncoder, *, chips: int = 3, names: str = "abc") -> SupportSet:
    """A support set with so many chips of each texture, named by letters."""
    chosen = {name: one.places(index, chips) for index, name in enumerate(names)}
    return SupportSet.build(encoder, one.chips, chosen)


def chips_draft(folder: Path, encoder_name: str = "handmade") -> BundleDraft:
    """A small few-shot model of two textures."""
    encoder = open_encoder(encoder_name)
    one = scene((LATTICE, FILM), rows=3, columns=2)
    support = support_of(one, encoder, names="ab")
    model = FewShotModel(support, encoder)
    files = {name: folder / name for name in encoder.files()}
    for name, blob in encoder.files().items():
        files[name].write_bytes(blob)
    files |= {name: folder / name for name in ("drift.json", "in.npy", "out.npy")}
    files["drift.json"].write_text(RejectReference.of(0.0, 0.005).model_dump_json())
    chips = cut_chips(one.image, ChipGrid(chip_px=CHIP_PX))
    np.save(files["in.npy"], one.image, allow_pickle=False)
    np.save(files["out.npy"], model.classify(encoder.embed(chips.pixels)).distances, allow_pickle=False)
    parameters = ChipsParameters(encoder=encoder_name, support=support.without_pixels())
    return BundleDraft(
        engine="chips",
        classes=("a", "b", NONE_OF_THESE),
        parameters=parameters.model_dump(mode="json"),
        files=files,
        members=tuple(encoder.files()),
        drift_reference="drift.json",
        golden=(GoldenChip(frame="in.npy", expected="out.npy", max_abs_error=0.02),),
        metrics={"support_recognised": 1.0},
        report=("Two simulated textures.",),
    )
