"""Per-frame robust normalisation: each frame alone, so one bad frame cannot change another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from ._finite import finite_plane
from .errors import InvalidFrameError
from .flattening import flattened
from .resampling import resample

_SAME_SCALE = 0.03  # within what training scatters the pixel size anyway
_SMALLEST_SCALE, _LARGEST_SCALE = 0.1, 5.0


class Preprocessing(BaseModel):
    """How a raw frame becomes network input; travels with the weights.

    Attributes:
        low_percentile: intensity that maps to 0.
        high_percentile: intensity that maps to 1.
        clip: normalised values are limited to [-clip, 1 + clip], which tames hot pixels.
        working_pixel_size_m: pixel size at which the network works; frames of another calibration are
            resampled to it, so a change of magnification is no drift. None: frames are taken as they are.
        flatten_sigma_px: width of the surroundings that each pixel is compared with before, in pixels of the
            network, so that an uneven background is no drift either; None leaves it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    low_percentile: float = Field(default=1.0, ge=0, lt=50)
    high_percentile: float = Field(default=99.5, gt=50, le=100)
    clip: float = Field(default=1.0, ge=0, le=10)
    working_pixel_size_m: float | None = Field(default=None, ge=1e-13, le=1e-6)

    flatten_sigma_px: float | None = Field(default=None, ge=4, le=500)

    def scale_for(self, pixel_size_m: float | None) -> float:
        """Network pixels per frame pixel along one side, for a frame of this calibration; None is unknown.

        Raises:
            InvalidFrameError: the pixel size is so far from the network's own that nothing would be found.
        """
        if self.working_pixel_size_m is None or pixel_size_m is None:
            return 1.0
        scale = pixel_size_m / self.working_pixel_size_m
        if not _SMALLEST_SCALE <= scale <= _LARGEST_SCALE:
            raise InvalidFrameError(
                f"The pixel size of {pixel_size_m:.3g} m is too far from the "
                f"{self.working_pixel_size_m:.3g} m that this network works at.",
                safe="no result was computed for the frame.",
                next_step=f"acquire with pixels of {self.working_pixel_size_m * _SMALLEST_SCALE:.2g} to "
                f"{self.working_pixel_size_m * _LARGEST_SCALE:.2g} m.",
            )
        return 1.0 if abs(scale - 1) <= _SAME_SCALE else scale


DEFAULT_PREPROCESSING = Preprocessing()


def normalise(
    frame: NDArray[np.generic], preprocessing: Preprocessing = DEFAULT_PREPROCESSING
) -> NDArray[np.float32]:
    """Scale a frame between two of its own percentiles.

    Args:
        frame: (ny, nx), any real dtype.
        preprocessing: percentiles and clip.

    Returns:
        (ny, nx) float32; all zeros for a constant frame.

    Raises:
        InvalidFrameError: the frame is not 2D, is empty, complex, or holds NaN or infinity.
    """
    image = check_frame(frame)
    if preprocessing.flatten_sigma_px is not None:
        image = flattened(image, preprocessing.flatten_sigma_px)
    # Every other row and column gives the same percentiles within the noise, at a quarter of the cost.
    sample = image[::2, ::2] if image.size >= 128 * 128 else image
    low, high = np.percentile(sample, [preprocessing.low_percentile, preprocessing.high_percentile])
    if not high > low:
        low, high = float(image.min()), float(image.max())
        if not high > low:
            return np.zeros(image.shape, np.float32)
    scaled = (image - np.float32(low)) * np.float32(1 / (high - low))
    return np.clip(scaled, -preprocessing.clip, 1 + preprocessing.clip, out=scaled)


def at_working_size(
    frame: NDArray[np.generic], preprocessing: Preprocessing, pixel_size_m: float | None
) -> tuple[NDArray[np.float32], float]:
    """A raw frame resampled to the network's pixel size, and the scale: network pixels per frame pixel.

    Args:
        frame: (ny, nx), any real dtype.
        preprocessing: holds the network's pixel size.
        pixel_size_m: of the frame; None where it is unknown, and the frame is taken as it is.

    Raises:
        InvalidFrameError: the frame is not a finite real 2D array, or its pixel size is out of reach.
    """
    image = check_frame(frame)
    scale = preprocessing.scale_for(pixel_size_m)
    return resample(image, scale), scale


def network_input(
    frame: NDArray[np.generic],
    preprocessing: Preprocessing,
    pixel_size_m: float | None,
    *,
    smallest_side_px: int,
) -> tuple[NDArray[np.float32], float]:
    """A raw frame as a network takes it, (ny, nx) normalised at its pixel size, and the scale.

    Args:
        frame: (ny, nx), any real dtype.
        preprocessing: of the network.
        pixel_size_m: see `at_working_size`.
        smallest_side_px: that the network can work with, in its own pixels.

    Raises:
        InvalidFrameError: see `at_working_size`; or the frame is too small.
    """
    working, scale = at_working_size(frame, preprocessing, pixel_size_m)
    image = normalise(working, preprocessing)
    if min(image.shape) < smallest_side_px:
        raise InvalidFrameError(
            f"A frame of {image.shape} pixels is too small for this network.",
            safe="no result was computed for it.",
            next_step=f"acquire frames of at least {smallest_side_px} pixels per side.",
        )
    return image, scale


def check_frame(frame: NDArray[np.generic]) -> NDArray[np.float32]:
    """The frame as (ny, nx) float32.

    Raises:
        InvalidFrameError: it is not 2D, is empty, complex, or holds NaN or infinity.
    """
    return finite_plane(frame, axes="(ny, nx)", refuse=_refused)


def _refused(problem: str) -> InvalidFrameError:
    return InvalidFrameError(
        f"The frame cannot be analysed: {problem}.",
        safe="no result was computed for it.",
        next_step="pass a real two-dimensional array; mask or repair bad pixels first.",
    )
