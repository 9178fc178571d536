"""A small U-Net that works behind a pixel-unshuffle stem."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..network_spec import NetworkSpec
from ._fresh import with_fresh_weights

_INITIAL_LOGIT = -3.0


class UNet(nn.Module):
    """U-Net (Ronneberger et al., MICCAI 2015) on folded pixels with GroupNorm (Wu and He, ECCV 2018).

    GroupNorm keeps no running statistics, so averaged weights and swapped weights are complete as they are.

    Built by :func:`build_network`, which also gives it its first weights.

    Args:
        spec: architecture.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        widths = [spec.base_filters * 2**level for level in range(spec.depth + 1)]
        folded = spec.stem_factor**2
        block = _BLOCKS[spec.kind]
        self.encoder = nn.ModuleList(
            block(folded if level == 0 else widths[level - 1], width) for level, width in enumerate(widths)
        )
        self.decoder = nn.ModuleList(
            block(widths[level + 1] + widths[level], widths[level]) for level in range(spec.depth)
        )
        self.head = nn.Conv2d(widths[0], spec.n_classes * folded, kernel_size=1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the heat maps.

        Args:
            images: (batch, 1, ny, nx) float, normalised; any size of at least ``spec.size_multiple``.

        Returns:
            (batch, n_classes, ny, nx) float.
        """
        return self.forward_with_embedding(images)[0]

    def forward_with_embedding(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and the (batch, embedding_size) mean over positions of the bottleneck features."""
        ny, nx = images.shape[-2:]
        multiple = self.spec.size_multiple
        pad_y, pad_x = -ny % multiple, -nx % multiple
        if pad_y or pad_x:
            images = functional.pad(images, (0, pad_x, 0, pad_y), mode="reflect")
        features = functional.pixel_unshuffle(images, self.spec.stem_factor)
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            features = block(functional.max_pool2d(features, 2) if level else features)
            skips.append(features)
        embedding = features.mean(dim=(2, 3))
        for level in reversed(range(self.spec.depth)):
            upsampled = functional.interpolate(features, scale_factor=2.0, mode="nearest")
            features = self.decoder[level](torch.cat([upsampled, skips[level]], dim=1))
        logits = functional.pixel_shuffle(self.head(features), self.spec.stem_factor)
        return logits[..., :ny, :nx], embedding

    def initialise(self, generator: torch.Generator) -> None:
        """Draw new weights.

        Args:
            generator: the only source of chance.
        """
        for module in self.modules():
            if isinstance(module, nn.GroupNorm):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        with torch.no_grad():
            # Peaks are rare: starting near "nothing here" saves the first tens of steps.
            self.head.weight.mul_(0.3)
            nn.init.constant_(self.head.bias, _INITIAL_LOGIT)  # type: ignore[arg-type]


class _Block(nn.Module):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.first_norm = nn.GroupNorm(4, channels_out)
        self.second = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.second_norm = nn.GroupNorm(4, channels_out)

    def forward(self, features: Tensor) -> Tensor:
        features = functional.relu(self.first_norm(self.first(features)))
        return functional.relu(self.second_norm(self.second(features)))


class _ResidualBlock(_Block):
    """He et al., CVPR 2016; in a U-Net: Zhang et al., IEEE Geosci. Remote Sens. Lett. 15, 749 (2018)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.shortcut = nn.Conv2d(channels_in, channels_out, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        inner = functional.relu(self.first_norm(self.first(features)))
        return functional.relu(self.second_norm(self.second(inner)) + self.shortcut(features))


class _SingleBlock(nn.Module):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.only = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.only_norm = nn.GroupNorm(4, channels_out)

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(self.only_norm(self.only(features)))


_BLOCKS: dict[str, Callable[[int, int], nn.Module]] = {
    "unet": _Block,
    "resunet": _ResidualBlock,
    "fast": _SingleBlock,
}


def build_network(spec: NetworkSpec, generator: torch.Generator) -> UNet:
    """A network with fresh weights, in channels-last layout (twice as fast on CPUs).

    Args:
        spec: architecture.
        generator: the only source of chance; torch's global one is left alone.
    """
    return with_fresh_weights(lambda: UNet(spec), generator)
