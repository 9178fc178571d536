"""Networks of torchvision or timm from a checkpoint that the site has: nothing is ever downloaded."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from types import ModuleType
from typing import Literal, cast

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional

from ._preparation import resize
from .errors import EncoderError

BACKBONE_FILE = "backbone.safetensors"

_SIDE_PX = 224
_BATCH = 16
# Of ImageNet, with which such networks are trained.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class BackboneEncoder:
    """Embeds chips by the pooled features of an image network; see :class:`ChipEncoder`.

    Args:
        library: which package builds the network.
        model: its name there, as `resnet50`.
        checkpoint: safetensors file with the weights, or a folder that holds it as `backbone.safetensors`. A
            pickled checkpoint (.pth) is refused: converting one is a line of Python (docs/few-shot.md).
        device: torch device.

    Raises:
        EncoderError: the package is not installed, knows no such network, or the weights do not fit.
    """

    def __init__(
        self, library: Literal["torchvision", "timm"], model: str, checkpoint: Path, *, device: str = "cpu"
    ) -> None:
        path = checkpoint / BACKBONE_FILE if checkpoint.is_dir() else checkpoint
        network = _without_head(library, model)
        try:
            self._blob = path.read_bytes()
            tensors = safetensors.torch.load(self._blob)
        except (OSError, SafetensorError) as error:
            raise _refused(model, f"its weights cannot be read from {path.name} ({error})") from error
        wanted = network.state_dict()
        fitting = {name: tensors[name] for name in wanted if name in tensors}
        if missing := sorted(set(wanted) - set(fitting)):
            raise _refused(model, f"{path.name} lacks {len(missing)} tensors, among them {missing[0]}")
        try:
            network.load_state_dict(fitting)
        except RuntimeError as error:
            raise _refused(model, f"the weights in {path.name} do not fit it ({error})") from error
        self._network = network.eval().to(device)
        self._device = torch.device(device)
        self.version = f"{library}-{model}-{hashlib.sha256(self._blob).hexdigest()[:12]}"
        self.dimension = int(
            self._pooled(torch.zeros(1, 3, _SIDE_PX, _SIDE_PX, device=self._device)).shape[1]
        )

    def embed(self, chips: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :class:`ChipEncoder`."""
        embedded = np.empty((len(chips), self.dimension), np.float32)
        mean = torch.tensor(_MEAN, device=self._device)[:, None, None]
        deviation = torch.tensor(_DEVIATION, device=self._device)[:, None, None]
        for first in range(0, len(chips), _BATCH):
            grey = np.clip(resize(chips[first : first + _BATCH], _SIDE_PX), 0, 1)
            batch = (torch.from_numpy(grey).to(self._device)[:, None] - mean) / deviation
            vectors = functional.normalize(self._pooled(batch), dim=1)
            embedded[first : first + _BATCH] = vectors.cpu().numpy()
        return embedded

    def files(self) -> dict[str, bytes]:
        """See :class:`ChipEncoder`."""
        return {BACKBONE_FILE: self._blob}

    def _pooled(self, images: Tensor) -> Tensor:
        with torch.inference_mode():
            features = cast(Tensor, self._network(images))
        return features.mean(dim=(2, 3)) if features.ndim == 4 else features


def _without_head(library: Literal["torchvision", "timm"], model: str) -> nn.Module:
    """The network, empty, whose answer is its pooled features."""
    package = _imported(library)
    try:
        if library == "timm":
            return cast(nn.Module, package.create_model(model, pretrained=False, num_classes=0))
        network = cast(nn.Module, package.models.get_model(model, weights=None))
    except (RuntimeError, ValueError) as error:
        raise _refused(model, f"{library} has no network of this name ({error})") from error
    for name in ("fc", "classifier", "head", "heads"):
        if hasattr(network, name):
            setattr(network, name, nn.Flatten())
            return network
    raise _refused(model, "its classification head was not found")


def _imported(library: str) -> ModuleType:
    try:
        return importlib.import_module(library)
    except ImportError as error:
        reason = f"{library} is not installed" if error.name == library else f"{library} is broken ({error})"
    except (OSError, RuntimeError) as error:
        # What is built for another torch fails in its own ways.
        reason = f"the installed {library} does not fit the installed torch ({error})"
    raise EncoderError(
        f"The encoder {library} cannot be opened: {reason}.",
        safe="no chip was embedded.",
        next_step=f"install {library} in the version that fits the installed torch, or use 'textures'.",
    )


def _refused(model: str, reason: str) -> EncoderError:
    return EncoderError(
        f"The network {model} cannot be used as an encoder: {reason}.",
        safe="no chip was embedded.",
        next_step="give a safetensors file with the weights of exactly this network.",
    )
