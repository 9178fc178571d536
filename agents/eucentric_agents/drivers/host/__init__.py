"""The driver host: every driver in a process of its own, with a watchdog of its own.

The agent side is `DriverHost`; the other side runs as `python -m eucentric_agents.drivers.host`.
"""

from __future__ import annotations

from ._deadman import Deadman
from ._hosted import HostedDesk, HostedInstrument
from ._keeper import DriverHost
from ._messages import MadeSafe
from ._service import DRIVER_SERVICE

__all__ = ["DRIVER_SERVICE", "Deadman", "DriverHost", "HostedDesk", "HostedInstrument", "MadeSafe"]
