"""Why no frame came out of a folder."""

from __future__ import annotations

from eucentric_core import EucentricError

__all__ = ["NoFileError"]


class NoFileError(EucentricError):
    """No finished file appeared while one was waited for."""

    code = "no_file"
