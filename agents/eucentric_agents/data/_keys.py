"""The data channel's keys at the data process: admitted when the agent says so."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, JsonValue

from eucentric_core import FrozenModel
from eucentric_core.transport import KeyRing, PublicKey

from ._desk import DataDesk

__all__ = ["Admit", "Remove", "register_keys"]


class Admit(FrozenModel):
    """Let a key in, or renew it; the holder is whom the agent's control channel has proven."""

    public_key: PublicKey
    holder: Annotated[str, Field(min_length=1, max_length=400)]


class Remove(FrozenModel):
    """Admit a key no more, and cut its connections."""

    public_key: PublicKey


def register_keys(desk: DataDesk, keys: KeyRing) -> None:
    """Answer `keys.admit` and `keys.remove`."""

    def admit(payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        asked = Admit.model_validate(payload)
        return keys.open(asked.public_key, asked.holder).model_dump(mode="json")

    def remove(payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        keys.remove(Remove.model_validate(payload).public_key)
        return {}

    desk.register("keys.admit", admit)
    desk.register("keys.remove", remove)
