"""Versions of a model: which serves where since when, whether they are signed, and moving the champion."""

from __future__ import annotations

from ...site import Page
from ._page import build_models
from ._routes import evidence_router

__all__ = ["PAGE"]

PAGE = Page(path="/models", title="Models", icon="model_training", build=build_models, routes=evidence_router)
