"""An instrument in a notebook: connect by name, steer, look at what it measured."""

from __future__ import annotations

from ._async_scope import AsyncScope, connect_async
from ._connect import connect, known_instruments
from ._scope import Scope

__all__ = [
    "AsyncScope",
    "Scope",
    "connect",
    "connect_async",
    "known_instruments",
]
