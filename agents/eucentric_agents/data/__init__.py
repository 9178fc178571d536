"""The data process at the agent's side: serves and records what the driver host acquires."""

from __future__ import annotations

from ._link import DataLink
from ._outbox import EventOutbox
from ._supervisor import DATA_SERVICE, DataProcess

__all__ = ["DATA_SERVICE", "DataLink", "DataProcess", "EventOutbox"]
