"""The instruments that one dashboard shows: its own agent, and those of `[instruments]`."""

from __future__ import annotations

from eucentric_core import settings_by_instrument

__all__ = ["settings_by_instrument"]
