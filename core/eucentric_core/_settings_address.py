"""Where files go to: a folder, or the address of a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from pydantic import BeforeValidator, Field

__all__ = ["Address", "folder_of_address"]

_FOLDERS = ("posix", "file")


def _is_folder(text: str) -> bool:
    # `C:\data` is a folder: a scheme of one letter is a Windows drive.
    return len(urlsplit(text).scheme) <= 1


def _complete(value: Any) -> Any:
    if isinstance(value, Path):
        value = str(value)
    if not isinstance(value, str) or not value:
        return value
    if _is_folder(value):
        return str(Path(value).expanduser().absolute())
    if "@" in urlsplit(value).netloc:
        # What stands before an @ is a name and a password: it would be in every log with the address.
        raise ValueError("an address holds no user name or password")
    return value


Address = Annotated[str, BeforeValidator(_complete), Field(min_length=1, max_length=2000)]
"""`/folder`, `posix:///folder`, `s3://bucket/prefix`, `globus://collection/path`. Folders become absolute."""


def folder_of_address(address: str | None) -> Path | None:
    """The folder of this machine that an address names, None if it names none."""
    if address is None:
        return None
    if _is_folder(address):
        return Path(address)
    parts = urlsplit(address)
    return Path(unquote(parts.path)) if parts.scheme in _FOLDERS else None
