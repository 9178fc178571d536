"""What a forecaster is, without its weights and without torch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ForecasterSpec"]


class ForecasterSpec(BaseModel):
    """Architecture of one member: an LSTM over the scores of spectra in a basis of few components.

    Attributes:
        channels: of a spectrum.
        components: of the basis.
        history: spectra that a forecast is made from.
        horizon: spectra that are forecast.
        hidden: width of the LSTM.
        layers: of the LSTM.
        energy_offset_ev: energy of the first channel; None if nobody said.
        energy_dispersion_ev: width of a channel.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int = Field(ge=8, le=65_536)
    components: int = Field(default=6, ge=1, le=64)
    history: int = Field(default=8, ge=2, le=256)
    horizon: int = Field(default=4, ge=1, le=64)
    hidden: int = Field(default=32, ge=4, le=512)
    layers: int = Field(default=1, ge=1, le=4)
    energy_offset_ev: float | None = Field(default=None, ge=-1e4, le=1e6)
    energy_dispersion_ev: float | None = Field(default=None, gt=0, le=1e4)
