"""`eucentric policy`: its commands, one after the other as a person needs them."""

from __future__ import annotations

import typer

from ._policy_desk import (
    approve,
    disable,
    enable,
    fire,
    list_policies,
    pause_all,
    reject,
    resume_all,
)
from ._policy_files import back_test, check, explain_file
from ._policy_history import history

__all__ = ["policy_app"]

policy_app = typer.Typer(
    name="policy",
    help="Policies: check, explain and back-test them, switch them, and read why they did what they did.",
    no_args_is_help=True,
)
for _name, _command in (
    ("check", check),
    ("explain", explain_file),
    ("backtest", back_test),
    ("enable", enable),
    ("disable", disable),
    ("ls", list_policies),
    ("history", history),
    ("fire", fire),
    ("approve", approve),
    ("reject", reject),
    ("pause-all", pause_all),
    ("resume-all", resume_all),
):
    policy_app.command(_name)(_command)
