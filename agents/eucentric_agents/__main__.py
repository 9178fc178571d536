"""`python -m eucentric_agents run`: the agent without the command line of the whole house."""

from __future__ import annotations

from ._cli import app

app(prog_name="eucentric agent")
