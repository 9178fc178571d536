"""What people type: the commands of `eucentric flows`, `policy` and `run`."""

from __future__ import annotations

from ._flows import add_flow_commands
from ._policy import policy_app
from ._runs import run_app

__all__ = ["add_flow_commands", "policy_app", "run_app"]
