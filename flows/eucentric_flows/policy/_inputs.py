"""Where the inputs of a recipe come from: the policy says so; for our own recipes it is known."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field

from eucentric_core import FrozenModel

__all__ = [
    "KNOWN_INPUTS",
    "ArraysInput",
    "ChampionInput",
    "FileInput",
    "FramesInput",
    "InputSource",
    "NewestInput",
    "RowsInput",
    "SeriesInput",
]

_Stream = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")]
_Relative = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_. -]*(/[A-Za-z0-9_][A-Za-z0-9_. -]*)*$")]
"""A path below the model's folder: no part of it begins with a dot."""


class FramesInput(FrozenModel):
    """Frames with their labels as one training set (.npz); the newest quarter is held out."""

    kind: Literal["frames"] = "frames"
    stream: _Stream = "haadf"
    labels: _Stream = "truth"


class ArraysInput(FrozenModel):
    """Each array of a stream as a file (.npy); the newest quarter is held out."""

    kind: Literal["arrays"] = "arrays"
    stream: _Stream = "haadf"


class NewestInput(FrozenModel):
    """The newest array of a stream as one file (.npy). It is context, no target: judging uses it, too."""

    kind: Literal["newest"] = "newest"
    stream: _Stream = "haadf"


class SeriesInput(FrozenModel):
    """Single spectra of a stream, put together in their order to series (times, channels) (.npy).

    `length` spectra make one series; the newest quarter of the series is held out, and what is left over at
    the beginning is not used. An array that holds a series already, (times, channels), is taken as it is.
    """

    kind: Literal["series"] = "series"
    stream: _Stream = "eels"
    length: Annotated[int, Field(ge=2, le=100_000)] = 24


class RowsInput(FrozenModel):
    """Tables of a stream, one below the other, as one file (.npy); every fourth row is held out.

    Not the newest: measurements often follow the rows of an image, and its lower end is no fair test.
    """

    kind: Literal["rows"] = "rows"
    stream: _Stream = "measured"


class FileInput(FrozenModel):
    """What people provide: a file or folder below `<home>/training/<model>`.

    Judging uses the file or folder beside it whose name has `-holdout` before its suffix, if there is one.
    """

    kind: Literal["file"] = "file"
    path: _Relative


class ChampionInput(FrozenModel):
    """Weights of the champion, one file a member; none before the first model."""

    kind: Literal["champion"] = "champion"


InputSource = Annotated[
    FramesInput | ArraysInput | NewestInput | SeriesInput | RowsInput | FileInput | ChampionInput,
    Field(discriminator="kind"),
]

KNOWN_INPUTS: Mapping[str, Mapping[str, InputSource]] = MappingProxyType(
    {
        "elit": {"start": FileInput(path="start.npz"), "new": FramesInput(), "champion": ChampionInput()},
        "few-shot": {"support": FileInput(path="support"), "image": NewestInput()},
        "forecast": {"series": SeriesInput()},
        "surrogate": {"image": NewestInput(), "measured": RowsInput()},
    }
)
"""Inputs of the recipes of this project; a policy for any other recipe declares its own."""
