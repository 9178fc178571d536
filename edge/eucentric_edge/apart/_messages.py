"""What the edge and the process of a model say to each other: JSON, with arrays in a shared block."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from eucentric_core import BundleManifest, ErrorReport, FrozenModel
from eucentric_models.engines import ModelDescription

from ._array_block import ArrayPlace

__all__ = [
    "AsideReply",
    "AsideRequest",
    "LiveReply",
    "LiveRequest",
    "LogLine",
    "OpenRequest",
    "Opened",
    "PlacedAnswer",
    "SupportRequest",
]


class OpenRequest(FrozenModel):
    """Open the one model of this process; see `ModelOpener.open`. The rest is `BackendChoice`."""

    kind: Literal["open"] = "open"
    folder: Path
    manifest: BundleManifest
    frame_shape: tuple[int, ...] | None
    pixel_size_m: float | None
    backend: str
    threads: int
    batch: int
    records: Path | None


class SupportRequest(FrozenModel):
    """Make a head of other classes; see `SupportedModel.with_support`.

    Attributes:
        head: from which.
        path: of the support set, absolute.
    """

    kind: Literal["support"] = "support"
    head: int
    path: Path


AsideRequest = Annotated[OpenRequest | SupportRequest, Field(discriminator="kind")]


class LogLine(FrozenModel):
    """What a process has to say to whoever reads the log of the edge."""

    logger: str
    level: int
    message: str


class Opened(FrozenModel):
    """A head is there.

    Attributes:
        head: its number in this process.
        description: of the model with this head.
        supported: whether it can be given other classes.
        process_id: of the process that holds it.
        takes: what its engine takes.
        backend: what computes it.
    """

    head: int
    description: ModelDescription
    supported: bool
    process_id: int
    takes: Literal["image", "spectra"]
    backend: str


class AsideReply(FrozenModel):
    """Answer of an `AsideRequest`: one of the first three.

    Attributes:
        opened: it was done.
        error: why it was not, typed.
        failure: the same, of what is no error of this project.
        log: said meanwhile.
    """

    opened: Opened | None = None
    error: ErrorReport | None = None
    failure: str | None = None
    log: tuple[LogLine, ...] = ()


class LiveRequest(FrozenModel):
    """Answer frames together; see `LiveModel.live`.

    Attributes:
        head: which one answers.
        images: where they lie.
        pixel_sizes_m: one for each.
        forget: heads that are no longer needed.
    """

    head: int
    images: tuple[ArrayPlace, ...]
    pixel_sizes_m: tuple[float | None, ...]
    forget: tuple[int, ...] = ()


class PlacedAnswer(FrozenModel):
    """A `LiveAnswer` whose arrays lie in the block."""

    arrays: dict[str, ArrayPlace]
    mean_uncertainty: float
    mean_entropy_nats: float
    entropy_ratio: float
    drift_score: float
    stages_s: dict[str, float]


class LiveReply(FrozenModel):
    """Answer of a `LiveRequest`: one answer for each image, or why there is none; see `AsideReply`."""

    answers: tuple[PlacedAnswer, ...] = ()
    error: ErrorReport | None = None
    failure: str | None = None
