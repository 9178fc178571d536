"""What the images of a data set are called: a stream's name, unless that is no folder's name everywhere."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import TypeAdapter, ValidationError

from eucentric_core import Identifier

__all__ = ["image_names"]

_PORTABLE: TypeAdapter[str] = TypeAdapter(Identifier)
_LIST_OF_IMAGES = "ome"
"""A folder `OME` lies beside the images, and some file systems do not tell case."""


def image_names(images: Mapping[str, int]) -> dict[str, list[str]]:
    """A name for each image, no two alike.

    Args:
        images: how many images there are of each stream.
    """
    names: dict[str, list[str]] = {}
    taken = set(images)
    for stream, count in images.items():
        base = stream if _is_portable(stream) else f"stream-{stream.rstrip('.')}"
        wanted = [base] if count == 1 else [f"{base}.{number}" for number in range(count)]
        names[stream] = [name if name == stream else _free(name, taken) for name in wanted]
    return names


def _is_portable(stream: str) -> bool:
    """Not a device of Windows such as `con` or `aux.1`, and not ending in a dot."""
    try:
        _PORTABLE.validate_python(stream)
    except ValidationError:
        return False
    return stream != _LIST_OF_IMAGES


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name
