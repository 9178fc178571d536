"""Failures of python-tuf as the typed errors of this house."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .._errors import (
    EucentricError,
    ReleaseExpiredError,
    ReleaseRefusedError,
    ReleaseUnreachableError,
)

__all__ = ["typed_failure"]

_SAFE = "nothing was installed; the model in service keeps serving."


@contextmanager
def typed_failure() -> Iterator[None]:
    """Whatever python-tuf raises inside the block comes out as one of the three errors of releases.

    Raises:
        ReleaseUnreachableError: the source does not answer.
        ReleaseExpiredError: the newest metadata has expired.
        ReleaseRefusedError: anything else.
    """
    from securesystemslib.exceptions import FormatError
    from tuf.api import exceptions as tuf

    try:
        yield
    except tuf.ExpiredMetadataError as error:
        raise ReleaseExpiredError(
            f"The signed metadata of the releases has expired: {error}.",
            safe=_SAFE,
            next_step="check this machine's clock; sign anew on the hub with `eucentric keys refresh`.",
        ) from error
    except tuf.DownloadLengthMismatchError as error:
        raise _refused(f"A file of the releases is longer than it may be: {error}") from error
    except tuf.DownloadHTTPError as error:
        raise ReleaseUnreachableError(
            f"A file of the releases is missing: {error}.",
            safe=_SAFE,
            next_step="check edge.releases, and whether the hub has published (`eucentric keys show` there).",
        ) from error
    except tuf.DownloadError as error:
        raise _download_failure(error) from error
    except tuf.BadVersionNumberError as error:
        raise _refused(
            f"The releases shown are older than before, or do not belong together: {error}"
        ) from error
    except tuf.UnsignedMetadataError as error:
        raise _refused(f"The metadata is not signed by enough of the trusted keys: {error}") from error
    except tuf.LengthOrHashMismatchError as error:
        raise _refused(f"A file of the releases is not what was signed: {error}") from error
    except tuf.RepositoryError as error:
        raise _refused(f"The metadata of the releases was refused: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, FormatError) as error:
        # Parsing of documents that nobody has signed yet.
        raise _refused(f"The metadata of the releases cannot be read: {error!r}") from error
    except OSError as error:
        raise ReleaseUnreachableError(
            f"The metadata of the releases cannot be kept: {error.strerror or error}.",
            safe=_SAFE,
            next_step="check the disk of this machine.",
        ) from error


def _refused(what: str) -> ReleaseRefusedError:
    return ReleaseRefusedError(
        f"{what.rstrip('.')}.",
        safe=_SAFE,
        next_step="compare with `eucentric keys show` on the hub; docs/registry.md, 'When it is refused'.",
    )


def _download_failure(error: Exception) -> EucentricError:
    # python-tuf says only that a download failed; what the source raised says why.
    cause = error.__cause__
    what = cause.what if isinstance(cause, EucentricError) else str(cause or error)
    if isinstance(cause, EucentricError) and cause.code == "data_format":
        return _refused(f"A file of the releases is longer than it may be: {what}")
    return ReleaseUnreachableError(
        f"The releases cannot be reached: {what}",
        safe=f"{_SAFE[:-1]}, and what is known holds until it expires.",
        next_step="check the place that edge.releases names; it is asked again by itself.",
    )
