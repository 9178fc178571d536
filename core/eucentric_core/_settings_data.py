"""How frames travel."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ._model import FrozenModel

__all__ = ["DataChannelSettings"]


class DataChannelSettings(FrozenModel):
    """The data channel of this machine's services.

    Args:
        ring_bytes: most shared memory that one driver's frames may take on their way (bytes). It is taken as
            it is needed; frames that find no room go through a socket. 0: none at all.
    """

    ring_bytes: Annotated[int, Field(ge=0, le=64 << 30)] = 512 << 20
