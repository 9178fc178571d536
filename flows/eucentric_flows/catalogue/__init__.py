"""The flows, each in a module of its own. Imports without Prefect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._retrain import RETRAIN
from ._spec import FlowRequest, FlowSpec, Running

__all__ = ["FLOWS", "FlowRequest", "FlowSpec", "Running"]

_ALL: tuple[FlowSpec[Any], ...] = (RETRAIN,)

FLOWS: Mapping[str, FlowSpec[Any]] = {spec.name: spec for spec in _ALL}
"""By name. A new flow is a module with a `FlowSpec`, and its name in the line above."""
