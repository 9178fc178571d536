"""Small pictures inside a page."""

from __future__ import annotations

import io
from base64 import b64encode

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["data_url"]


def data_url(picture: npt.NDArray[np.generic], *, like: npt.NDArray[np.generic] | None = None) -> str:
    """A picture (ny, nx) as an address.

    Args:
        picture: bytes as they are shown, unless `like` is given.
        like: an image whose 1st and 99.8th percentile are black and white.
    """
    shown = np.asarray(picture)
    if like is not None:
        black, white = np.percentile(like[:: max(1, like.shape[0] // 256)].astype(np.float32), (1, 99.8))
        shown = np.clip((shown - black) * (255 / max(white - black, 1e-30)), 0, 255).astype(np.uint8)
    target = io.BytesIO()
    Image.fromarray(shown).save(target, "PNG")
    return f"data:image/png;base64,{b64encode(target.getvalue()).decode()}"
