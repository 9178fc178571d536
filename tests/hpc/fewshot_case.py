"""Chips of simulated textures as folders of pictures, sound and poisoned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eucentric_hpc.recipes import RecipeData
from eucentric_models.fewshot.textures import AmorphousField, FringeField, Texture, TextureImaging

CHIP_PX = 32
Spoil = Callable[[Path], None]

_IMAGING = TextureImaging(80, 0.5, 0, 0, 0, 0, 0, 0, inverted=False)
_FIELDS = (FringeField((7.0, 7.0), (0.4, 0.4), (1.0, 0.0), 0.0), AmorphousField(0.1, 0.04))


def two_textures(rows: int = 4, columns: int = 4) -> NDArray[np.uint8]:
    """Fringes on the left, an amorphous film on the right."""
    rng = np.random.default_rng(2)
    band = (rows * CHIP_PX, columns // 2 * CHIP_PX)
    signal = np.concatenate([Texture(field, 0.4, 0.1).draw(band, rng) for field in _FIELDS], axis=1)
    return np.clip(150 * _IMAGING.expose(signal, rng), 0, 255).astype(np.uint8)


def few_shot_data(spoil: Spoil = lambda _folder: None) -> Callable[[Path], RecipeData]:
    """Makes data of two classes with four chips each, and the image they were cut from.

    Args:
        spoil: changes the folder of support chips.
    """

    def make(folder: Path) -> RecipeData:
        image = two_textures()
        for name, column in (("fringes", 0), ("film", 2)):
            (folder / "support" / name).mkdir(parents=True)
            for row in range(4):
                top, left = row * CHIP_PX, (column + row % 2) * CHIP_PX
                chip = image[top : top + CHIP_PX, left : left + CHIP_PX]
                Image.fromarray(chip).save(folder / "support" / name / f"{row}.png")
        np.save(folder / "image.npy", image, allow_pickle=False)
        spoil(folder / "support")
        return RecipeData(files={"support": (folder / "support",), "image": (folder / "image.npy",)})

    return make


def constant(folder: Path) -> None:
    """A chip that shows nothing."""
    Image.fromarray(np.full((CHIP_PX, CHIP_PX), 7, np.uint8)).save(folder / "film" / "0.png")


def not_finite(folder: Path) -> None:
    """A chip with NaN."""
    np.save(folder / "film" / "z.npy", np.full((CHIP_PX, CHIP_PX), np.nan), allow_pickle=False)


def tiny(folder: Path) -> None:
    """Chips of four pixels."""
    for path in folder.rglob("*.png"):
        Image.open(path).resize((4, 4)).save(path)


def one_class(folder: Path) -> None:
    """Nothing to tell apart."""
    for path in (folder / "film").iterdir():
        path.unlink()
    (folder / "film").rmdir()


def one_chip(folder: Path) -> None:
    """A class with a single chip."""
    for row in (1, 2, 3):
        (folder / "film" / f"{row}.png").unlink()


def no_picture(folder: Path) -> None:
    """A file that is none."""
    (folder / "film" / "0.png").write_bytes(b"no picture")
