"""Thermo Fisher and FEI microscopes through temscript's HTTP server, or its null microscope (SIMULATED)."""

from __future__ import annotations

from ._driver import open_temscript
from ._options import TemscriptCalibrations, TemscriptOptions

__all__ = ["TemscriptCalibrations", "TemscriptOptions", "open_temscript"]
