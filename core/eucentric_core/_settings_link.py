"""What a machine is told about the link that bulk data and control share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ._model import FrozenModel

__all__ = ["LinkMode", "LinkSettings"]

LinkMode = Literal["auto", "off", "fixed", "measured", "adaptive"]
"""How bulk data are held back, see `LinkSettings`."""

_Rate = Annotated[float, Field(ge=1e5, le=1e12)]


class LinkSettings(FrozenModel):
    """The link that bulk data leave this machine by, and how they share it with control.

    Nothing that stays on the machine is ever held back, whatever is said here.

    Args:
        mode: `off` holds nothing back. `fixed` holds bulk data at `fraction` of `line_rate_bit_s`; `measured`
            does so with the rate that `eucentric doctor --link` has remembered on this machine. `adaptive`
            looks for the rate at which round trips begin to wait and stays below, at most `fraction` of the
            line rate where that is known; it gives way when others use the link. `auto` is `off` where the
            site's switches honour marks, `adaptive` elsewhere.
        line_rate_bit_s: of the narrowest place between this machine and where its data go.
        fraction: of the line rate that bulk data may take together.
        honours: what the site's switches and routers do with the marks in packets: nothing, or put those of
            class EF (DSCP 46, RFC 3246), as every control packet is marked, before others.
        bulk_dscp: class of bulk packets; 1 is lower effort (RFC 8622), 8 its older form CS1.
        probe: `host:port` whose round trips tell how full the link is while files are moved; the port may
            be closed. Live data need none.
        min_rate_bit_s: what bulk data may always have.
        max_rate_bit_s: what they never exceed, in every mode but `off`.
    """

    mode: LinkMode = "auto"
    line_rate_bit_s: _Rate | None = None
    fraction: Annotated[float, Field(ge=0.5, le=1)] = 0.93
    honours: Literal["none", "dscp"] = "none"
    bulk_dscp: Annotated[int, Field(ge=0, le=63)] = 1
    probe: Annotated[str, Field(pattern=r"^(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+):[0-9]{1,5}$")] | None = None
    min_rate_bit_s: _Rate = 1e6
    max_rate_bit_s: _Rate | None = None

    @model_validator(mode="after")
    def _require_sense(self) -> LinkSettings:
        if self.mode == "fixed" and self.line_rate_bit_s is None:
            raise ValueError("mode 'fixed' needs line_rate_bit_s; `eucentric doctor --link HOST` measures it")
        if self.max_rate_bit_s is not None and self.max_rate_bit_s < self.min_rate_bit_s:
            raise ValueError("max_rate_bit_s is below min_rate_bit_s")
        return self
