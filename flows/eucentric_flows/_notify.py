"""Messages to people, through the notification blocks that Prefect keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx
from prefect.blocks import notifications as _kinds  # noqa: F401 - importing registers them
from prefect.blocks.abstract import NotificationBlock, NotificationError
from prefect.blocks.core import Block

from eucentric_core import EucentricError, ServiceUnavailableError

__all__ = ["MessageNotSentError", "notify"]


class MessageNotSentError(EucentricError):
    """A message cannot be sent as it is set up."""

    code = "message_not_sent"


def notify(blocks: Sequence[str], subject: str, body: str) -> None:
    """Send a message through every block.

    Args:
        blocks: as `<type>/<name>`, for example `slack-webhook/microscopy`.
        subject: first line.
        body: the rest.

    Raises:
        MessageNotSentError: there is no such block, or its service refuses; those before it have been told.
        ServiceUnavailableError: Prefect does not answer.
    """
    for name in blocks:
        block = _block(name)
        try:
            with block.raise_on_failure():
                asyncio.run(_send(block, subject, body))
        except NotificationError as error:
            raise _not_sent(f"block {name} did not take the message: {error}") from error


async def _send(block: NotificationBlock, subject: str, body: str) -> None:
    await block.notify(body, subject)


def _block(name: str) -> NotificationBlock:
    try:
        block = Block.load(name)
    except ValueError as error:
        raise _not_sent(f"there is no block {name!r}") from error
    except httpx.HTTPError as error:
        raise ServiceUnavailableError(
            f"Prefect does not answer: {error}.",
            safe="the message is kept.",
            next_step="check that the Prefect server runs.",
        ) from error
    if not isinstance(block, NotificationBlock):
        raise _not_sent(f"block {name} sends no notifications")
    return block


def _not_sent(what: str) -> MessageNotSentError:
    return MessageNotSentError(
        what,
        safe="nothing else is held up by it.",
        next_step="set the block up on Prefect's page, under Blocks.",
    )
