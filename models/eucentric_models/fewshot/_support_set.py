"""Support sets: the chips a microscopist pointed at, with names. All that few-shot classification knows."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StringConstraints, ValidationError, model_validator

from eucentric_core import FrozenModel, Sha256

from ._chips import SMALLEST_CHIP_PX, Chips, GreyScale, content_sha256
from ._encoder import ChipEncoder, unit_rows
from ._packed import PackedArray
from ._preparation import resize
from .errors import SupportSetError

FEWEST_CHIPS, MOST_CHIPS_PER_CLASS = 2, 100
FEWEST_CLASSES, MOST_CLASSES = 2, 32
_LARGEST_KEPT_PX = 128
_MAX_JSON_BYTES = 64 << 20

ClassName = Annotated[str, StringConstraints(min_length=1, max_length=60, strip_whitespace=True)]


class SupportChip(FrozenModel):
    """One chip of a support set.

    Attributes:
        label: its class.
        sha256: of its pixels.
        frame_sha256: of the frame that it was cut from, None for a chip that came as a file.
        row: in the grid, from 0; None for a file.
        column: in the grid, from 0; None for a file.
        top_px: first row of pixels in the frame.
        left_px: first column of pixels in the frame.
        source: file name, None for a chip cut from a frame.
    """

    label: ClassName
    sha256: Sha256
    frame_sha256: Sha256 | None = None
    row: Annotated[int, Field(ge=0)] | None = None
    column: Annotated[int, Field(ge=0)] | None = None
    top_px: Annotated[int, Field(ge=0)] | None = None
    left_px: Annotated[int, Field(ge=0)] | None = None
    source: Annotated[str, Field(max_length=255)] | None = None

    @property
    def place(self) -> str:
        """Where it is from, for people."""
        return self.source or f"row {self.row}, column {self.column}"


class SupportSet(FrozenModel):
    """Named chips with their embeddings: a model that is made in milliseconds, and never changed.

    Attributes:
        schema_version: of this record.
        encoder: version of the encoder that made the embeddings.
        chip_px: side of the chips as they were cut.
        pixel_size_m: of the frame, None if unknown.
        grey_scale: what 0 and 1 of the chips' pixels are.
        chips: in order of the classes.
        embeddings: (n, d).
        pixels: (n, side, side) on the grey scale, reduced if larger than 128 pixels, so that the set can be
            embedded
            by another encoder; None where they were left out.
    """

    schema_version: Literal[1] = 1
    encoder: Annotated[str, Field(min_length=1, max_length=200)]
    chip_px: Annotated[int, Field(ge=SMALLEST_CHIP_PX)]
    pixel_size_m: Annotated[float, Field(gt=0, le=1e-3)] | None = None
    grey_scale: GreyScale
    chips: Annotated[tuple[SupportChip, ...], Field(max_length=MOST_CLASSES * MOST_CHIPS_PER_CLASS)]
    embeddings: PackedArray
    pixels: PackedArray | None = None

    @classmethod
    def build(
        cls, encoder: ChipEncoder, chips: Chips, chosen: Mapping[str, Sequence[tuple[int, int]]]
    ) -> Self:
        """A support set of chips of one frame.

        Args:
            encoder: makes the embeddings.
            chips: of the frame.
            chosen: rows and columns of the chips of each class.

        Raises:
            SupportSetError: too few or too many classes or chips, or a chip that is constant or chosen twice.
            ChipError: there is no chip at a place.
        """
        index = {label: [chips.at(row, column) for row, column in places] for label, places in chosen.items()}
        named = tuple(_cut(label, chips, i) for label, places in index.items() for i in places)
        picked = [chips.pixels[i] for places in index.values() for i in places]
        return cls._embedded(encoder, named, picked, chips.grey_scale, chips.pixel_size_m)

    @classmethod
    def of_images(
        cls,
        encoder: ChipEncoder,
        images: Mapping[str, Sequence[tuple[str, NDArray[np.generic]]]],
        *,
        grey_scale: GreyScale | None = None,
        pixel_size_m: float | None = None,
    ) -> Self:
        """A support set of chips that come as images of their own, as pyCHIP keeps them.

        Args:
            encoder: makes the embeddings.
            images: name and pixels (ny, nx) of the chips of each class.
            grey_scale: of the image they were cut from; None for the percentiles of all of them.
            pixel_size_m: of that image, None if unknown.

        Raises:
            SupportSetError: too few or too many classes or chips, chips of different sizes, or one that is
                too small,
                constant, not finite, or given twice.
        """
        listed = [(label, name, pixels) for label, chips in images.items() for name, pixels in chips]
        arrays = [_sound(name, pixels) for _, name, pixels in listed]
        _require_enough([label for label, _, _ in listed])
        scale = grey_scale or GreyScale.of(np.concatenate([array.ravel() for array in arrays]))
        named = tuple(
            SupportChip(label=label, sha256=content_sha256(array), source=name)
            for (label, name, _), array in zip(listed, arrays, strict=True)
        )
        return cls._embedded(encoder, named, [scale.applied(array) for array in arrays], scale, pixel_size_m)

    @classmethod
    def joined(
        cls,
        encoder: ChipEncoder,
        chips: Chips,
        chosen: Mapping[str, Sequence[tuple[int, int]]],
        *,
        earlier: SupportSet,
        kept: Mapping[int, str],
    ) -> Self:
        """A support set of chips of one frame and of chips of an earlier set, on their own grey scale each.

        Args:
            encoder: makes the embeddings.
            chips: of the frame; the size of a chip and the grey scale of the set are theirs.
            chosen: rows and columns of the chips of each class.
            earlier: the other set. It is reduced or enlarged to the size of these chips.
            kept: which of its chips, and the class of each.

        Raises:
            SupportSetError: as for :meth:`build`, or the earlier set was kept without pixels.
            ChipError: there is no chip at a place.
        """
        if earlier.pixels is None:
            raise _refused("the earlier set holds no pixels")
        old = resize(earlier.pixels.array(), chips.side_px)
        labels = tuple(dict.fromkeys([*chosen, *kept.values()]))
        named: list[SupportChip] = []
        picked: list[NDArray[np.float32]] = []
        for label in labels:
            for row, column in chosen.get(label, ()):
                index = chips.at(row, column)
                named.append(_cut(label, chips, index))
                picked.append(chips.pixels[index])
            for index in (index for index, own in kept.items() if own == label):
                named.append(earlier.chips[index].model_copy(update={"label": label}))
                picked.append(old[index])
        return cls._embedded(encoder, tuple(named), picked, chips.grey_scale, chips.pixel_size_m)

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """What :meth:`to_json` wrote.

        Raises:
            SupportSetError: it is something else, or damaged.
        """
        if len(text) > _MAX_JSON_BYTES:
            raise _refused(f"it is larger than {_MAX_JSON_BYTES} bytes")
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise _refused(f"it cannot be read ({error})") from error

    def to_json(self) -> bytes:
        """As a file."""
        return self.model_dump_json(indent=1).encode() + b"\n"

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in order."""
        return tuple(dict.fromkeys(chip.label for chip in self.chips))

    @property
    def class_id(self) -> NDArray[np.intp]:
        """(n,) class of each chip."""
        ids = {label: index for index, label in enumerate(self.classes)}
        return np.array([ids[chip.label] for chip in self.chips], np.intp)

    @property
    def vectors(self) -> NDArray[np.float32]:
        """(n, d) embeddings of length 1."""
        return unit_rows(self.embeddings.array())

    @property
    def digest(self) -> str:
        """Beginning of the hash of everything that decides a classification: the version of the set."""
        return hashlib.sha256(self.without_pixels().model_dump_json().encode()).hexdigest()[:12]

    def montage(self) -> NDArray[np.float32]:
        """All chips side by side, class after class: (ny, nx) on the grey scale of the set.

        Raises:
            SupportSetError: the set was kept without pixels.
        """
        if self.pixels is None:
            raise _refused("it holds no pixels to look at")
        chips = resize(self.pixels.array(), self.chip_px)
        across = int(np.ceil(np.sqrt(len(chips))))
        down = -(-len(chips) // across)
        # Places without a chip repeat the last one.
        filled = chips[np.minimum(np.arange(down * across), len(chips) - 1)]
        tiled = filled.reshape(down, across, self.chip_px, self.chip_px).transpose(0, 2, 1, 3)
        return np.ascontiguousarray(tiled.reshape(down * self.chip_px, across * self.chip_px))

    def without_pixels(self) -> Self:
        """The same set, small, and bound to its encoder for ever."""
        return self.model_copy(update={"pixels": None})

    def without(self, index: int) -> Self:
        """The set without one chip.

        Raises:
            SupportSetError: its class would be left with too few.
        """
        kept = [i for i in range(len(self.chips)) if i != index]
        _require_enough([self.chips[i].label for i in kept], within=self.classes)
        return self.model_copy(
            update={
                "chips": tuple(self.chips[i] for i in kept),
                "embeddings": PackedArray.of(self.embeddings.array()[kept]),
                "pixels": None if self.pixels is None else PackedArray.of(self.pixels.array()[kept]),
            }
        )

    def embedded_by(self, encoder: ChipEncoder) -> Self:
        """The set for another encoder; itself if it is for this one.

        Raises:
            SupportSetError: the set was kept without pixels.
        """
        if encoder.version == self.encoder:
            return self
        if self.pixels is None:
            raise _refused(
                f"it was made with the encoder {self.encoder}, not {encoder.version}, and holds no pixels"
            )
        embeddings = PackedArray.of(encoder.embed(self.pixels.array()))
        return self.model_copy(update={"encoder": encoder.version, "embeddings": embeddings})

    @classmethod
    def _embedded(
        cls,
        encoder: ChipEncoder,
        chips: tuple[SupportChip, ...],
        pixels: Sequence[NDArray[np.float32]],
        grey_scale: GreyScale,
        pixel_size_m: float | None,
    ) -> Self:
        _require_enough([chip.label for chip in chips])
        for chip, array in zip(chips, pixels, strict=True):
            if array.min() == array.max():
                raise _refused(
                    f"the chip at {chip.place} of class {chip.label!r} is constant: nothing to learn"
                )
        occurrences = Counter(chip.sha256 for chip in chips)
        if twice := [chip.place for chip in chips if occurrences[chip.sha256] > 1]:
            raise _refused(f"the chip at {twice[0]} occurs twice: choose different chips")
        if len({array.shape for array in pixels}) > 1:
            raise _refused("its chips have different sizes: cut all of them alike")
        stacked = np.stack(pixels)
        side = max(stacked.shape[1:])
        return cls(
            encoder=encoder.version,
            chip_px=side,
            pixel_size_m=pixel_size_m,
            grey_scale=grey_scale,
            chips=chips,
            embeddings=PackedArray.of(encoder.embed(stacked)),
            pixels=PackedArray.of(np.clip(resize(stacked, min(side, _LARGEST_KEPT_PX)), -100, 100)),
        )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        counts = {label: sum(chip.label == label for chip in self.chips) for label in self.classes}
        if not FEWEST_CLASSES <= len(counts) <= MOST_CLASSES:
            raise ValueError(f"{len(counts)} classes; {FEWEST_CLASSES} to {MOST_CLASSES} are possible")
        if few := [label for label, count in counts.items() if count < FEWEST_CHIPS]:
            raise ValueError(f"class {few[0]!r} has fewer than {FEWEST_CHIPS} chips")
        lengths = {len(self.chips), self.embeddings.shape[0]}
        lengths |= set() if self.pixels is None else {self.pixels.shape[0]}
        if len(lengths) != 1 or len(self.embeddings.shape) != 2:
            raise ValueError("chips, embeddings and pixels differ in number")
        return self


def _cut(label: str, chips: Chips, index: int) -> SupportChip:
    return SupportChip(
        label=label,
        sha256=content_sha256(chips.pixels[index]),
        frame_sha256=chips.frame_sha256,
        row=int(chips.rows[index]),
        column=int(chips.columns[index]),
        top_px=int(chips.tops_px[index]),
        left_px=int(chips.lefts_px[index]),
    )


def _require_enough(labels: Sequence[str], *, within: Sequence[str] = ()) -> None:
    counts = {label: labels.count(label) for label in dict.fromkeys([*within, *labels])}
    if not FEWEST_CLASSES <= len(counts) <= MOST_CLASSES:
        raise _refused(f"it has {len(counts)} classes; {FEWEST_CLASSES} to {MOST_CLASSES} are possible")
    for label, count in counts.items():
        if not FEWEST_CHIPS <= count <= MOST_CHIPS_PER_CLASS:
            raise _refused(
                f"class {label!r} has {count} chips; {FEWEST_CHIPS} to {MOST_CHIPS_PER_CLASS} are possible, "
                "five are usually enough"
            )


def _sound(name: str, pixels: NDArray[np.generic]) -> NDArray[np.float32]:
    array = np.asarray(pixels)
    if array.ndim != 2 or array.dtype.kind not in "buif":
        raise _refused(f"the chip {name} is no grey image: shape {array.shape}, {array.dtype}")
    if min(array.shape) < SMALLEST_CHIP_PX:
        raise _refused(
            f"the chip {name} has {array.shape[0]} x {array.shape[1]} pixels; {SMALLEST_CHIP_PX} is the least"
        )
    if not np.isfinite(array).all():
        raise _refused(f"the chip {name} holds NaN or infinity")
    return array.astype(np.float32)


def _refused(reason: str) -> SupportSetError:
    return SupportSetError(
        f"The support set cannot be used: {reason}.",
        safe="nothing was classified and no file was changed.",
        next_step="choose two to ten sound chips of each class (docs/few-shot.md).",
    )
