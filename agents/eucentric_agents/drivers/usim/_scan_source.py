"""What Nion's scan device asks for the pixels of a frame, and the blanker that acts on them at once."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ._controls import ColumnSettings, Controls, NionControls

__all__ = ["Formed", "ScanSource", "Scanned", "Scene"]

_NO_TRUTH = np.zeros((0, 3), np.float32)


class Formed(NamedTuple):
    """A frame as it looks with the beam on and with the beam off, float32 (ny, nx), and its ground truth."""

    lit: NDArray[np.float32]
    dark: NDArray[np.float32]
    truth: NDArray[np.float32] | None


class Scene(Protocol):
    """Forms frames of a specimen."""

    def form(self, nion: NionControls, column: ColumnSettings, parameters: Any) -> Formed:
        """Form one frame with Nion's scan parameters."""
        ...


@dataclass(frozen=True, slots=True)
class Scanned:
    """What is known of a frame after it was scanned.

    `lit_share` is the share of its pixels that the beam was on for; `truth` has the columns among these.
    """

    column: ColumnSettings
    truth: NDArray[np.float32] | None
    lit_share: float


class ScanSource:
    """Nion's `ScanDataGeneratorLike`. Nion's own blanker darkens the Ronchigram only; this one the scan.

    Nion reads the pixels of a frame out little by little. When the blanker moves meanwhile, those not yet
    read out change.

    Args:
        scene: forms the frames.
        stage_size_nm: extent of the stage, as Nion's devices ask for it.
        sample: what Nion's cameras see.
    """

    def __init__(self, scene: Scene, *, stage_size_nm: float, sample: Any) -> None:
        self.stage_size_nm = stage_size_nm
        self.sample = sample
        self._scene = scene
        self._lock = threading.Lock()
        self._live: NDArray[np.float32] | None = None
        self._formed: Formed | None = None
        self._column: ColumnSettings | None = None
        self._failure: Exception | None = None

    @property
    def failure(self) -> Exception | None:
        """Why the last frame could not be formed."""
        return self._failure

    def generate_scan_data(self, instrument: NionControls, scan_frame_parameters: Any) -> NDArray[np.float32]:
        """The pixels of the frame that begins; Nion's scan device calls this on its own thread."""
        controls = Controls(instrument)
        try:
            column = controls.settings()
            formed = self._scene.form(instrument, column, scan_frame_parameters)
        except Exception as error:
            # Nion prints what is raised here and tells nobody; the driver asks for it.
            self._failure = error
            raise
        with self._lock:
            self._failure = None
            self._formed, self._column = formed, column
            self._live = (formed.dark if controls.blanked else formed.lit).copy()
            return self._live

    def follow_blanker(self, *, blanked: bool) -> None:
        """The blanker has moved: what has not been read out yet changes."""
        with self._lock:
            if self._live is not None and self._formed is not None:
                self._live[...] = self._formed.dark if blanked else self._formed.lit

    def given_up(self) -> ColumnSettings | None:
        """The frame that was formed last will not be completed; how the column stood when it began."""
        with self._lock:
            column = self._column
            self._live = self._formed = self._column = None
        return column

    def scanned(self, image: NDArray[np.float32]) -> Scanned:
        """What the frame `image` shows, once it has been read out."""
        with self._lock:
            formed, column = self._formed, self._column
            self._live = self._formed = self._column = None
        if formed is None or column is None:
            raise ValueError("no frame was formed")
        telling = formed.lit != formed.dark
        was_lit = image == formed.lit
        lit_share = float(was_lit[telling].mean()) if telling.any() else 0.0
        if formed.truth is None:
            return Scanned(column, None, lit_share)
        if lit_share == 0:
            return Scanned(column, _NO_TRUTH, 0.0)
        y, x = np.rint(formed.truth[:, :2]).astype(np.intp).T
        height, width = image.shape
        seen = was_lit[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
        return Scanned(column, formed.truth[seen], lit_share)
