"""Thermo Fisher microscopes through AutoScript TEM, by its published names; untested on hardware."""

from __future__ import annotations

from ._driver import open_autoscript
from ._options import AutoscriptOptions

__all__ = ["AutoscriptOptions", "open_autoscript"]
