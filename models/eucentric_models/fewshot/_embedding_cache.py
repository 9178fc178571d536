"""Embeddings of frames that were embedded before."""

from __future__ import annotations

import hashlib
import io
from collections import OrderedDict
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from eucentric_core import write_atomic

from ..engines import EngineError, read_plain_array
from ._chips import Chips
from ._encoder import ChipEncoder


class EmbeddingCache:
    """Embeds the chips of a frame once, whatever support sets are tried on it.

    The key is the hash of what decides the embeddings: the frame's content, the grid, the grey scale and the
    version of the encoder.

    Args:
        folder: keeps embeddings from one process to the next, as `.npy`; None for memory alone.
        limit_bytes: of memory; what was used longest ago is forgotten first.
    """

    def __init__(self, folder: Path | None = None, *, limit_bytes: int = 256 << 20) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._kept: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._lock = Lock()

    def embedded(self, encoder: ChipEncoder, chips: Chips) -> NDArray[np.float32]:
        """(n, d) embeddings of chips, read-only; computed if need be."""
        key = _key(encoder, chips)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        embeddings = self._from_file(key, (len(chips), encoder.dimension))
        if embeddings is None:
            embeddings = encoder.embed(chips.pixels)
            if self._folder is not None:
                self._folder.mkdir(parents=True, exist_ok=True)
                write_atomic(self._folder / f"{key}.npy", _npy(embeddings))
        embeddings.setflags(write=False)
        self._keep(key, embeddings)
        return embeddings

    def _keep(self, key: str, embeddings: NDArray[np.float32]) -> None:
        with self._lock:
            self._kept[key] = embeddings
            total = sum(kept.nbytes for kept in self._kept.values())
            while total > self._limit_bytes and len(self._kept) > 1:
                _, forgotten = self._kept.popitem(last=False)
                total -= forgotten.nbytes

    def _from_file(self, key: str, shape: tuple[int, int]) -> NDArray[np.float32] | None:
        if self._folder is None or not (self._folder / f"{key}.npy").exists():
            return None
        try:
            found = read_plain_array(self._folder / f"{key}.npy")
        except EngineError:
            return None  # damaged: it is made anew and replaced
        sound = found.shape == shape and found.dtype == np.float32 and bool(np.isfinite(found).all())
        return found if sound else None  # type: ignore[return-value] # the dtype was just looked at


def _key(encoder: ChipEncoder, chips: Chips) -> str:
    scale, side = chips.grey_scale, chips.side_px
    digest = hashlib.sha256(
        f"{encoder.version}|{chips.frame_sha256}|{side}|{scale.low}|{scale.high}".encode()
    )
    digest.update(np.ascontiguousarray(chips.tops_px, np.int64).tobytes())
    digest.update(np.ascontiguousarray(chips.lefts_px, np.int64).tobytes())
    return digest.hexdigest()


def _npy(array: NDArray[np.float32]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return stream.getvalue()
