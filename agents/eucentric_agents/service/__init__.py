"""Running the agent as a service of the control PC: a systemd unit, or a Windows service."""

from __future__ import annotations

from ._systemd import UNIT_NAME, install_unit, unit_text

__all__ = ["UNIT_NAME", "install_unit", "unit_text"]
