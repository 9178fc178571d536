"""Tell people."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .._wording import listed
from ._base import Cause, NotifyOrder, TrainsNothing

__all__ = ["NotifyAction"]

_Block = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}/[A-Za-z0-9._-]{1,100}$")]


class NotifyAction(TrainsNothing):
    """Send a message through notification blocks that Prefect keeps; nothing else is done.

    Attributes:
        blocks: as `<type>/<name>`, for example `slack-webhook/microscopy`.
        subject: first line of the message; by default it names policy and model.
    """

    kind: Literal["notify"] = "notify"
    blocks: Annotated[tuple[_Block, ...], Field(min_length=1, max_length=16)]
    subject: Annotated[str, Field(max_length=200)] = ""

    @property
    def begins_a_run(self) -> bool:
        """See `Action`."""
        return False

    def order(self, cause: Cause) -> NotifyOrder:
        """See `Action`."""
        subject = self.subject or f"Policy {cause.policy}, model {cause.model}"
        return NotifyOrder(
            blocks=self.blocks, subject=subject, body=f"{cause.reason}\ntrigger: {cause.trigger_id}"
        )

    def phrase(self, model: str) -> str:
        """See `Action`."""
        return f"{listed(self.blocks)} is told"
