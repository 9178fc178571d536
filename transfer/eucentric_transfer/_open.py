"""From an address in the settings to a mover."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import JsonValue

from eucentric_core import ConfigurationError

from ._mover import Mover
from ._options import MoverOptions
from ._posix import PosixMover

__all__ = ["MOVER_SCHEMES", "check_address", "open_mover"]


def _open_posix(url: str, options: MoverOptions) -> Mover:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise ConfigurationError(
            f"{url!r} names no folder of this machine.",
            safe="nothing was opened.",
            next_step="write posix:///absolute/folder, or give the folder alone.",
        )
    return PosixMover(Path(unquote(parts.path)), options)


def _open_s3(url: str, options: MoverOptions) -> Mover:
    from .s3 import open_s3

    return open_s3(url, options)


def _open_globus(url: str, options: MoverOptions) -> Mover:
    return _load_globus()(url, options)


def _load_globus() -> Callable[[str, MoverOptions], Mover]:
    try:
        from .globus import open_globus
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"Addresses of Globus need a package that is not installed here: {error.name}.",
            safe="nothing was opened.",
            next_step='pip install "eucentric[globus]"',
        ) from error
    return open_globus


MOVER_SCHEMES: Mapping[str, Callable[[str, MoverOptions], Mover]] = {
    "posix": _open_posix,
    "file": _open_posix,
    "s3": _open_s3,
    "globus": _open_globus,
}
"""What opens an address, by its scheme. A mover's SDK is imported when one of its kind is opened."""


def check_address(where: str) -> None:
    """Refuse what no mover could be opened for. Nothing is opened and nobody is asked.

    Raises:
        ConfigurationError: as `open_mover` about the address itself.
    """
    scheme = urlsplit(where).scheme
    if len(scheme) > 1 and scheme not in MOVER_SCHEMES:
        raise _no_mover(scheme)
    if scheme == "s3":
        from .s3._address import S3Address

        S3Address.parse(where)
    elif scheme in ("posix", "file"):
        _open_posix(where, MoverOptions()).close()
    elif scheme == "globus":
        _load_globus()
        from .globus._address import GlobusAddress

        GlobusAddress.parse(where)


def open_mover(where: str | Path, *, options: MoverOptions | None = None) -> Mover:
    """The mover for a folder or an address such as `posix:///data/repository` or `s3://bucket/prefix`.

    Raises:
        ConfigurationError: no mover for that scheme, or its address or settings are not complete; the
            error names what there is.
    """
    options = options or MoverOptions()
    if isinstance(where, Path):
        return PosixMover(where, options)
    scheme = urlsplit(where).scheme
    # `C:\data` is a folder: a scheme of one letter is a Windows drive.
    if len(scheme) <= 1:
        return PosixMover(Path(where), options)
    opener = MOVER_SCHEMES.get(scheme)
    if opener is None:
        raise _no_mover(scheme)
    return opener(where, options)


def _no_mover(scheme: str) -> ConfigurationError:
    return ConfigurationError(
        f"There is no mover for {scheme!r} addresses.",
        safe="nothing was opened.",
        next_step=f"use one of {', '.join(sorted(MOVER_SCHEMES))}, or a plain folder.",
        available=list[JsonValue](sorted(MOVER_SCHEMES)),
    )
