"""What the store knows of a support set beside its content."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from eucentric_core import FrozenModel, Identifier, Sha256, UtcDatetime

__all__ = ["ImageOrigin", "NamedClass", "NewSupportSet", "SupportSetRecord"]


class NamedClass(FrozenModel):
    """A class of a support set.

    Attributes:
        key: 1 to 9, by which it is chosen in the studio.
        name: of the class.
        colour: `#rrggbb`.
        chips: how many it has.
    """

    key: Annotated[int, Field(ge=1, le=9)]
    name: Annotated[str, Field(min_length=1, max_length=60)]
    colour: Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]
    chips: Annotated[int, Field(ge=0)]


class ImageOrigin(FrozenModel):
    """The image that chips were pointed at in.

    Attributes:
        kind: a frame of the instrument or of the repository, or a file that somebody brought.
        session: of the frame; so are `stream` and `sequence`.
        file: name of the file.
    """

    kind: Literal["live", "session", "file"]
    session: Identifier | None = None
    stream: Annotated[str, Field(max_length=64)] | None = None
    sequence: Annotated[int, Field(ge=0)] | None = None
    file: Annotated[str, Field(max_length=255)] | None = None


class NewSupportSet(FrozenModel):
    """What somebody saves.

    Attributes:
        name: of the set; the store gives the version.
        author: who saves it.
        notes: for whoever finds it later.
        classes: in order of their keys.
        chip_px: side of a chip.
        offset_px: of the grid, y and x.
        pixel_size_m: of the image, None if unknown.
        image: that was looked at.
        based_on: the version that was at hand when the work began; None for a new name.
    """

    name: Identifier
    author: Annotated[str, Field(min_length=1, max_length=200)]
    notes: Annotated[str, Field(max_length=2000)] = ""
    classes: Annotated[tuple[NamedClass, ...], Field(max_length=9)]
    chip_px: Annotated[int, Field(ge=1)]
    offset_px: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] = (0, 0)
    pixel_size_m: Annotated[float, Field(gt=0)] | None = None
    image: ImageOrigin | None = None
    based_on: Annotated[int, Field(ge=1)] | None = None


class SupportSetRecord(NewSupportSet):
    """One version, as it is kept.

    Attributes:
        version: rises by one with each that is saved under the name.
        sha256: of the content.
        saved_utc: when.
    """

    schema_version: Literal[1] = 1
    version: Annotated[int, Field(ge=1)]
    sha256: Sha256
    saved_utc: UtcDatetime
