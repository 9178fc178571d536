"""A site whose edge serves a few-shot model of two simulated textures, and an image of three to label."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eucentric_core import Lineage
from eucentric_core.transport import PyroControlClient
from eucentric_model_registry import BundleIdentity, build_and_sign_draft

from ...models.fewshot.scenes import CHIP_PX, FILM, FRINGES, LATTICE, chips_draft, scene
from ..running_site import RunningSite

__all__ = ["CHIP_PX", "COLUMNS", "ROWS", "ChipsSite", "write_textures"]

ROWS, COLUMNS = 6, 6
"""Chips of the image: two columns of each texture."""

LINEAGE = Lineage(datasets=("twin.s1",), code_version="0.1.0", trigger_id="t-1", policy="any", run_id="r-1")


class ChipsSite(RunningSite):
    """A microscope, a dashboard and an edge that knows support sets."""

    def start_all(self) -> None:
        """Start everything, and have the model installed."""
        for name in ("agent", "dashboard", "edge"):
            self.start(name)
        (self.folder / "draft").mkdir()
        draft = chips_draft(self.folder / "draft")
        edge = self.settings.edge
        build_and_sign_draft(
            self.folder / "bundle", draft, BundleIdentity(edge.model, 1, "textures", LINEAGE), self._signer
        )
        self.edge_call("install", folder=str(self.folder / "bundle"))

    def edge_call(self, method: str, **payload: str) -> dict[str, object]:
        """Ask the edge."""
        edge = self.settings.edge
        control = PyroControlClient(edge.host, edge.control_port, timeout_s=60)
        try:
            return dict(control.call(method, dict(payload)))
        finally:
            control.close()


def write_textures(folder: Path) -> Path:
    """An image of a lattice, a film and fringes, side by side."""
    one = scene((LATTICE, FILM, FRINGES), rows=ROWS, columns=COLUMNS // 3)
    file = folder / "textures.npy"
    np.save(file, one.image, allow_pickle=False)
    return file
