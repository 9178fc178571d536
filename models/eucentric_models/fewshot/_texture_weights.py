"""Weights of the texture network on disk: float16 safetensors, with a card that says where they come from."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError

from ._texture_network import TextureNetwork, TextureNetworkSpec, build_texture_network
from .errors import EncoderError

if TYPE_CHECKING:
    from ._encoder_training import EncoderTraining, EpisodeScore

NAME = "textures"
WEIGHTS_FILE = f"{NAME}.safetensors"
CARD_FILE = f"{NAME}.json"
SHIPPED_FOLDER = Path(__file__).parents[1] / "shipped" / NAME

_SPEC_KEY = "network"


class HeldOut(BaseModel):
    """What the network achieves on simulated episodes that it was not trained on.

    Attributes:
        accuracy: share of chips that find their class among all of an episode.
        within_image_accuracy: the same among the classes of their image.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    accuracy: float = Field(ge=0, le=1)
    within_image_accuracy: float = Field(ge=0, le=1)


class EncoderCard(BaseModel):
    """Where weights come from.

    Attributes:
        schema_version: of this card.
        name: of the encoder.
        sha256: of the weights file.
        network: architecture.
        trained_on: in words.
        training: configuration, complete.
        training_sha256: of the configuration.
        held_out: measured after training.
        metric_of: what the metric in the last layer was fitted to (fit_metrics); None for none.
        made_with: versions of the packages that the numbers depend on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = Field(default=1, ge=1, le=1)
    name: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    network: TextureNetworkSpec
    trained_on: str
    training: dict[str, object]
    training_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    held_out: HeldOut
    metric_of: str | None = None
    made_with: dict[str, str]

    @property
    def version(self) -> str:
        """What embeddings are stamped with."""
        return version_of(self.sha256)


def write_weights(
    network: TextureNetwork,
    training: EncoderTraining,
    held_out: EpisodeScore,
    folder: Path,
    *,
    metric_of: str | None = None,
) -> EncoderCard:
    """Write ``textures.safetensors`` and ``textures.json`` into a folder.

    Returns:
        The card.
    """
    tensors = {
        name: value.detach().to(torch.float16).contiguous() for name, value in network.state_dict().items()
    }
    # The architecture goes into the file: a bundle carries the weights without their card.
    blob = safetensors.torch.save(tensors, metadata={_SPEC_KEY: network.spec.model_dump_json()})
    card = EncoderCard(
        name=NAME,
        sha256=hashlib.sha256(blob).hexdigest(),
        network=network.spec,
        trained_on="SIMULATED textures only (eucentric_models.fewshot.textures); no recorded image was seen",
        training=training.model_dump(mode="json"),
        training_sha256=training.digest,
        held_out=HeldOut(accuracy=held_out.accuracy, within_image_accuracy=held_out.within_image),
        metric_of=metric_of,
        made_with={package: importlib.metadata.version(package) for package in ("torch", "numpy")},
    )
    (folder / WEIGHTS_FILE).write_bytes(blob)
    (folder / CARD_FILE).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return card


def read_card(folder: Path) -> EncoderCard:
    """The card in a folder.

    Raises:
        EncoderError: there is none.
    """
    try:
        return EncoderCard.model_validate_json((folder / CARD_FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise _refused(f"its card is not readable ({error})") from error


def read_weights(blob: bytes) -> TextureNetwork:
    """The network with the given weights, in evaluation mode and float32.

    Raises:
        EncoderError: the blob is unreadable, does not fit its own architecture, or is not finite.
    """
    try:
        spec = TextureNetworkSpec.model_validate_json(_metadata(blob).get(_SPEC_KEY, ""))
        tensors = safetensors.torch.load(blob)
    except (SafetensorError, ValueError) as error:
        raise _refused(f"the weights are not readable ({error})") from error
    network = build_texture_network(spec, torch.Generator())
    try:
        network.load_state_dict({name: value.to(torch.float32) for name, value in tensors.items()})
    except RuntimeError as error:
        raise _refused(f"the weights do not fit their architecture ({error})") from error
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
        raise _refused("the weights hold NaN or infinity")
    return network.eval()


def read_blob(folder: Path) -> bytes:
    """The weights in a folder, as they are.

    Raises:
        EncoderError: there are none, or a card beside them describes others.
    """
    try:
        blob = (folder / WEIGHTS_FILE).read_bytes()
        card = folder / CARD_FILE
        described = EncoderCard.model_validate_json(card.read_bytes()).sha256 if card.exists() else None
    except (OSError, ValidationError) as error:
        raise _refused(f"card or weights are not readable ({error})") from error
    if described not in {None, hashlib.sha256(blob).hexdigest()}:
        raise _refused("the weights are not those that their card describes (sha256 differs)")
    return blob


def version_of(sha256: str) -> str:
    """Version of an encoder: its name and the beginning of the hash of its weights."""
    return f"{NAME}-{sha256[:12]}"


def _metadata(blob: bytes) -> dict[str, str]:
    """Metadata of a safetensors file: eight bytes of length, then JSON."""
    length = int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8 : 8 + length])
    found = header.get("__metadata__", {}) if isinstance(header, dict) else {}
    return found if isinstance(found, dict) else {}


def _refused(reason: str) -> EncoderError:
    return EncoderError(
        f"The texture encoder cannot be used: {reason}.",
        safe="no chip was embedded.",
        next_step="install the package again, or train the encoder (docs/few-shot.md).",
    )
