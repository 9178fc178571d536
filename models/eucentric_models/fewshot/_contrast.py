"""Local contrast, for frames whose thickness or contamination changes across the field."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..preprocessing import normalise
from .errors import EncoderError


def equalised(frame: NDArray[np.generic], *, clip_limit: float = 0.03, tiles: int = 8) -> NDArray[np.float32]:
    """A frame after contrast-limited adaptive histogram equalisation (Zuiderveld, Graphics Gems IV, 1994).

    Optional, before :func:`cut_chips`: chips have a locally normalised channel of their own, and equalisation
    removes differences of brightness by which classes may be told apart. Support and frame must be treated
    alike.

    Args:
        frame: (ny, nx), any real dtype.
        clip_limit: slope of the grey value mapping is limited the more the smaller this is, 0 to 1.
        tiles: per side.

    Returns:
        (ny, nx) float32 in [0, 1].

    Raises:
        InvalidFrameError: the frame is not 2D, is empty, complex, or holds NaN or infinity.
        EncoderError: scikit-image is not installed.
    """
    try:
        from skimage.exposure import equalize_adapthist
    except ImportError as error:
        raise EncoderError(
            "Adaptive equalisation needs scikit-image, which is not installed.",
            safe="nothing was changed.",
            next_step="pip install 'eucentric[few-shot]'.",
        ) from error
    image = np.clip(normalise(frame), 0, 1)
    kernel = tuple(max(side // tiles, 8) for side in image.shape)
    return equalize_adapthist(image, kernel_size=kernel, clip_limit=clip_limit).astype(np.float32)
