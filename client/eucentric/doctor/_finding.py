"""What a check found."""

from __future__ import annotations

from typing import Literal

from eucentric_core import FrozenModel

__all__ = ["Finding", "Status"]

Status = Literal["ok", "warn", "fail", "absent"]
"""`warn` works, with a drawback; `fail` will not work; `absent` is optional and not there."""


class Finding(FrozenModel):
    """One line of the doctor's report; `fix` is empty when there is nothing to do."""

    name: str
    status: Status
    detail: str
    fix: str = ""
