"""The shipped model of columns on recorded images: pictures to look at, and lattice constants to compare.

The images belong to others: pictures of them are drawn into a folder that git ignores and go nowhere else.
`make gallery` runs this on the images in `$EUCENTRIC_SHARED/data`; whatever is not there is left out.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _harness import arguments, report

from eucentric_agents.vendor_files import load_signals
from eucentric_models.lattice_fit import FittedLattice, fit_lattice

DEFAULT_OUTPUT = Path(__file__).resolve().parents[1] / "gallery"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorded image.

    Attributes:
        name: of its picture.
        file: below the folder of images.
        pixel_size_pm: where the file does not say it; None takes the file's word, or none.
        uncalibrated: nobody knows its pixel size.
        cell_pm: lengths of the two shortest translations of the projected lattice, from the literature; None
            where material or calibration are unknown.
        source: of those lengths.
    """

    name: str
    file: str
    pixel_size_pm: float | None = None
    uncalibrated: bool = False
    cell_pm: float | None = None
    source: str = ""


RECORDED = (
    # Centred square of A and B columns: the mean of a and c of a single crystal, over the square root of two.
    Recorded(
        "BaTiO3",
        "permissive/baghizadeh_MIT/BTO_crystal_1.dm4",
        cell_pm=401.4 / np.sqrt(2),
        source="a = 399.2, c = 403.6 pm, single crystal: Table 1 of Nanoscale Res. Lett. 8, 62 (2013)",
    ),
    # Its file says 8 nm for 1024 pixels; the pseudo-cubic constant of the orthorhombic cell.
    Recorded(
        "DyScO3",
        "permissive/atomsegnet_MIT/10_dso_8nm_none_none.png",
        pixel_size_pm=8000 / 1024,
        cell_pm=395.0 / np.sqrt(2),
        source="pseudo-cubic 395 pm: scandates of Dy to Pr, Acta Phys. Pol. A 124, 295 (2013)",
    ),
    Recorded(
        "MoS2",
        "copyleft_gpl3/temul/example_Se_implanted_MoS2.dm3",
        cell_pm=316.0,
        source="a = 316 pm in bulk: Joensen et al., J. Phys. C 20, 4043 (1987)",
    ),
    Recorded("gold", "permissive/atomsegnet_MIT/Grain_boundry_gold_512px.png", uncalibrated=True),
    Recorded("perovskite-ADF", "copyleft_gpl3/atomap/test_ADF_cropped.hdf5", uncalibrated=True),
    Recorded("perovskite-ABF", "copyleft_gpl3/atomap/test_ABF_cropped.hdf5", uncalibrated=True),
    Recorded("ferrite", "permissive/pychip_BSD/fig2_b/LaO.png", uncalibrated=True),
)


def main() -> None:
    """Draw, fit and report."""
    options = arguments(str(__doc__).splitlines()[0])
    shared = os.environ.get("EUCENTRIC_SHARED", "")
    options.add_argument("--images", type=Path, default=Path(shared) / "data" if shared else None)
    options.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    options.add_argument("--model", default="columns", help="as for `eucentric models apply`")
    chosen = options.parse_args()
    if chosen.images is None:
        options.error("say where the images are: --images DIR, or EUCENTRIC_SHARED")
    rows = [
        _one(image, chosen.images / image.file, chosen.output, chosen.model)
        for image in RECORDED
        if (chosen.images / image.file).exists()
    ]
    if not chosen.json:
        for row in rows:
            print(row)
    report({"images": rows, "pictures": len(rows)}, as_json=chosen.json, packages=["torch"])


def _one(image: Recorded, file: Path, output: Path, model: str) -> dict[str, Any]:
    folder = output / image.name
    command = [sys.executable, "-m", "eucentric", "models", "apply", "--model", model, "--input", str(file)]
    command += ["--output", str(folder), "--json"]
    if image.pixel_size_pm is not None:
        command += ["--pixel-size-pm", str(image.pixel_size_pm)]
    if image.uncalibrated:
        command += ["--uncalibrated"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    summary = json.loads(said.strip().splitlines()[-1])
    with (folder / f"{file.stem}.csv").open(encoding="utf-8", newline="") as stream:
        positions = np.array([(float(row["y_px"]), float(row["x_px"])) for row in csv.DictReader(stream)])
    row = {"image": image.name, "columns": len(positions), "doubts": summary["unsure"]}
    lattice = fit_lattice(positions)
    pixel_size_pm = summary["pixel_size_pm"]
    if lattice is None or image.cell_pm is None or pixel_size_pm is None:
        return row
    spectrum_px = _spacings_in_spectrum_px(_pixels(file), lattice)
    fitted_px = 1 / np.hypot(*_reciprocal(lattice).T)
    return row | {
        "along_x_and_y_pm": [round(extent * pixel_size_pm, 1) for extent in _along_axes_px(lattice)],
        "from_cell_area_pm": round(_length_from_area_px(lattice) * pixel_size_pm, 1),
        "literature_pm": round(float(image.cell_pm), 1),
        "deviation": round(float(_length_from_area_px(lattice) * pixel_size_pm / image.cell_pm) - 1, 4),
        # The same planes in the power spectrum of the image, without any model.
        "deviation_from_power_spectrum": round(float(np.mean(fitted_px / spectrum_px)) - 1, 4),
        "source": image.source,
    }


def _pixels(file: Path) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.squeeze(np.asarray(load_signals(file, images_only=True)[0].data, np.float64))


def _length_from_area_px(lattice: FittedLattice) -> float:
    # Equal lengths with the same area, at the nearest of the two angles that such lattices have.
    right = abs(lattice.angle_rad - np.pi / 2) < np.pi / 12 or abs(lattice.angle_rad - np.pi / 4) < np.pi / 12
    return float(np.sqrt(lattice.cell_area_px / (1 if right else np.sqrt(3) / 2)))


def _along_axes_px(lattice: FittedLattice) -> tuple[float, float]:
    """Shortest sums of the vectors within 15 degrees of x and of y, which scan distortion tells apart."""
    index = np.array([(i, j) for i in range(-3, 4) for j in range(-3, 4) if (i, j) != (0, 0)])
    sums = index @ lattice.vectors_px
    lengths = np.hypot(*sums.T)
    found = [
        float(lengths[np.abs(sums[:, axis]) > lengths * np.cos(np.pi / 12)].min(initial=np.inf))
        for axis in (1, 0)
    ]
    return found[0], found[1]


def _reciprocal(lattice: FittedLattice) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(np.linalg.inv(lattice.vectors_px).T, np.float64)


def _spacings_in_spectrum_px(
    pixels: np.ndarray[Any, np.dtype[np.float64]], lattice: FittedLattice
) -> np.ndarray[Any, np.dtype[np.float64]]:
    size = 4096
    window = np.multiply.outer(*(np.hanning(side) for side in pixels.shape))
    power = np.abs(np.fft.fft2((pixels - pixels.mean()) * window, s=(size, size)))
    found = []
    for wave in _reciprocal(lattice):
        centre = np.rint(wave * size).astype(int)
        reach = np.arange(-12, 13)
        patch = power[np.ix_((centre[0] + reach) % size, (centre[1] + reach) % size)]
        peak = np.array(np.unravel_index(patch.argmax(), patch.shape)) - 12
        found.append(size / np.hypot(*(centre + peak)))
    return np.array(found)


if __name__ == "__main__":
    main()
