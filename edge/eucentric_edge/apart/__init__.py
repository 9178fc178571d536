"""Models in processes of their own, so that nothing an installation does meets a frame (decision 0044)."""

from __future__ import annotations

from ._apart_model import ApartModel
from ._array_block import ArrayBlock, ArrayPlace
from ._model_process import ModelProcess
from ._nursery import Nursery

__all__ = ["ApartModel", "ArrayBlock", "ArrayPlace", "ModelProcess", "Nursery"]
