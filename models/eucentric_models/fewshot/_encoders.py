"""Encoders by name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

from ._encoder import ChipEncoder, CombinedEncoder
from .errors import EncoderError

DEFAULT_ENCODER = "textures+handmade"
HANDMADE_SHARE = 0.7
"""Weight of the hand-made features beside the network: chosen on simulated textures."""
DEFAULT_WEIGHTS = (1 - HANDMADE_SHARE, HANDMADE_SHARE)

_LIBRARIES = ("torchvision", "timm")


def open_encoder(
    name: str = DEFAULT_ENCODER, folder: Path | None = None, *, device: str = "cpu"
) -> ChipEncoder:
    """An encoder.

    Args:
        name: `textures` (network trained on simulated textures), `handmade` (features of the image alone),
            `textures+handmade`, or a network of the site: `torchvision:resnet50`, `timm:convnext_tiny`.
        folder: where its files lie: those of :meth:`ChipEncoder.files`; the shipped ones if left out. For a
            network of the site the safetensors file itself will do.
        device: torch device.

    Raises:
        EncoderError: there is no such encoder, or it cannot be opened.
    """
    library, _, model = name.partition(":")
    if library in _LIBRARIES and model:
        if folder is None:
            raise _unknown(f"{name} needs a file with its weights", "give the path of a safetensors file.")
        from ._backbone import BackboneEncoder

        return BackboneEncoder(cast(Literal["torchvision", "timm"], library), model, folder, device=device)
    parts = tuple(_part(part, folder, device) for part in name.split("+"))
    if len(parts) == 1:
        return parts[0]
    if name != DEFAULT_ENCODER:
        raise _unknown(f"there is no encoder {name!r}", _known())
    return CombinedEncoder(tuple(zip(parts, DEFAULT_WEIGHTS, strict=True)))


def _part(name: str, folder: Path | None, device: str) -> ChipEncoder:
    if name == "textures":
        from ._texture_encoder import TextureEncoder

        return TextureEncoder(device=device) if folder is None else TextureEncoder(folder, device=device)
    if name == "handmade":
        from ._handmade import HandmadeEncoder, read_reference

        return HandmadeEncoder() if folder is None else HandmadeEncoder(read_reference(folder))
    raise _unknown(f"there is no encoder {name!r}", _known())


def _known() -> str:
    return f"there are textures, handmade, {DEFAULT_ENCODER}, torchvision:NAME and timm:NAME."


def _unknown(reason: str, next_step: str) -> EncoderError:
    return EncoderError(
        f"No encoder was opened: {reason}.", safe="no chip was embedded.", next_step=next_step
    )
