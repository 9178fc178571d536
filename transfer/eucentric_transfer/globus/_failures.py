"""What Globus says when something does not work, as errors that say what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from globus_sdk import GlobusAPIError, GlobusError, GlobusSDKUsageError, NetworkError
from globus_sdk.token_storage import TokenValidationError
from globus_sdk.token_storage.validating_token_storage import IdentityMismatchError
from pydantic import JsonValue

from eucentric_core import (
    ConfigurationError,
    EucentricError,
    OutOfSpaceError,
    TransferFailedError,
)

from .._mover import FarEndError

__all__ = ["disk_failure", "is_missing", "login_needed", "readable_failures", "task_failure"]

_KEPT = "the source is kept; nothing appeared under the name."
_MAX_TEXT = 300
_LOG_IN = "run `eucentric globus login` on this machine."
_PERMISSION = (
    "let this identity read and write there: the collection's Permissions page, or its local account."
)
_CLIENT = (
    "start Globus Connect Personal on the machine that owns the collection and see that it is not paused."
)
_PATHS = (
    "compare source_root and source_base with what the collection shows, and the base path of the address."
)

_NEXT_STEPS: dict[str, str] = {
    "NO_CREDENTIALS": _LOG_IN,
    "INVALID_SERVICE_CREDENTIAL": _LOG_IN,
    "AUTH": _LOG_IN,
    "PERMISSION_DENIED": _PERMISSION,
    "FILE_NOT_FOUND": _PATHS,
    "INVALID_PATH_NAME": _PATHS,
    "NOT_A_DIRECTORY": _PATHS,
    "IS_A_DIRECTORY": _PATHS,
    "GC_NOT_CONNECTED": _CLIENT,
    "GC_PAUSED": _CLIENT,
    "CONNECT_FAILED": _CLIENT,
    "ENDPOINT_ERROR": "see on the collection's page whether it still exists and answers.",
    "QUOTA_EXCEEDED": "free space at the far end, or have its quota raised.",
    "NO_SPACE_LEFT": "free space at the far end.",
    "EXPIRED": "see in the events what it waited for; raise `globus.deadline_s` if the link is that slow.",
    "CANCELED": "see on app.globus.org who cancelled it; it is tried again.",
    "EXTERNAL_CHECKSUM_MISMATCH": "inspect the local file and its disk; set `globus.checksum` to md5 if a "
    "collection offers no SHA-256.",
}
_NO_ROOM = ("QUOTA_EXCEEDED", "NO_SPACE_LEFT")
# Of one file, not of the far end as a whole.
_OF_A_FILE = ("FILE_NOT_FOUND", "INVALID_PATH_NAME", "IS_A_DIRECTORY", "EXTERNAL_CHECKSUM_MISMATCH")


def is_missing(error: GlobusAPIError) -> bool:
    """Whether a path is not there. A collection that is not there is another matter."""
    return (
        error.http_status == 404
        and str(error.code).endswith("NotFound")
        and not str(error.code).endswith("EndpointNotFound")
    )


def login_needed(what: str) -> FarEndError:
    """Nobody is logged in, or not for this."""
    return FarEndError(what, safe=_KEPT, next_step=_LOG_IN, reason="credentials")


@contextmanager
def readable_failures(doing: str) -> Iterator[None]:
    """Turn what globus-sdk raises into errors of this project. `doing` is a phrase such as `listing x`.

    Raises:
        FarEndError: the service does not answer, or refuses us.
        ConfigurationError: the request itself was wrong.
    """
    try:
        yield
    except GlobusAPIError as error:
        raise _refused(error, doing) from error
    except NetworkError as error:
        raise FarEndError(
            f"Globus does not answer ({doing}): {_short(error)}.",
            safe=_KEPT,
            next_step="check this machine's way to transfer.api.globus.org and auth.globus.org (HTTPS); "
            "it is tried again.",
            reason="network",
        ) from error
    except IdentityMismatchError as error:
        raise login_needed(
            "Somebody else is logged in to Globus on this machine; `eucentric globus logout` comes first."
        ) from error
    except TokenValidationError as error:
        raise login_needed(f"No valid login to Globus ({doing}).") from error
    except GlobusSDKUsageError as error:
        raise ConfigurationError(
            f"globus-sdk refused to do this ({doing}): {_short(error)}.",
            safe="nothing was submitted.",
            next_step="check the section [globus] of the settings.",
        ) from error
    except sqlite3.Error as error:
        raise disk_failure(error) from error
    except GlobusError as error:
        raise FarEndError(
            f"Globus could not be used ({doing}): {_short(error)}.", safe=_KEPT, next_step="try again."
        ) from error


def disk_failure(error: sqlite3.Error) -> EucentricError:
    """Tokens or tasks cannot be written down here."""
    full = "full" in str(error)
    kind: type[EucentricError] = OutOfSpaceError if full else FarEndError
    return kind(
        f"The files in `globus.folder` cannot be used: {_short(error)}.",
        safe="the source is kept; no task was submitted that is not written down.",
        next_step="free space on that disk." if full else "check that disk and the folder's owner.",
        reason="disk",
    )


def _short(error: object) -> str:
    return str(error).partition("\n")[0][:_MAX_TEXT].rstrip(". ")


def _refused(error: GlobusAPIError, doing: str) -> EucentricError:
    code, status = str(error.code), error.http_status
    details: dict[str, JsonValue] = {"http_status": status, "globus_code": code, "doing": doing}
    said = _short(error.message or code)
    what = f"Globus refused ({doing}): {said} [{status} {code}]."
    if error.info.consent_required:
        scopes = error.info.consent_required.required_scopes or []
        return FarEndError(
            f"Globus wants a consent first ({doing}): this login may not touch the collection's data.",
            safe=_KEPT,
            next_step="run `eucentric globus login` again and agree to the access to the collection.",
            reason="consent",
            required_scopes=list[JsonValue](scopes),
            **details,
        )
    oauth = (error.raw_json or {}).get("error")
    if status == 401 or oauth in ("invalid_grant", "invalid_client"):
        step = f"{_LOG_IN[:-1]}; for a service, check `globus.client_id` and `globus.secret_file` first."
        return FarEndError(what, safe=_KEPT, next_step=step, reason="credentials", **details)
    if code.endswith("EndpointNotFound"):
        step = "compare the id in the address and `globus.source_collection` with the collections' pages."
        return FarEndError(what, safe=_KEPT, next_step=step, reason="collection", **details)
    if "GCDisconnected" in code or "GCPaused" in code:
        return FarEndError(what, safe=_KEPT, next_step=_CLIENT, reason="collection", **details)
    if status == 403:
        return FarEndError(what, safe=_KEPT, next_step=_PERMISSION, reason="permission", **details)
    if status == 429:
        step = "nothing: Globus limits requests (20 in a second); it is tried again."
        return FarEndError(what, safe=_KEPT, next_step=step, reason="rate", **details)
    if status >= 500:
        step = "nothing: see status.globus.org if it lasts; it is tried again."
        return FarEndError(what, safe=_KEPT, next_step=step, reason="service", **details)
    return TransferFailedError(
        what, safe=_KEPT, next_step="check the paths, and this machine's clock.", reason="request", **details
    )


def task_failure(
    task_id: str,
    code: str,
    description: str,
    events: Sequence[dict[str, Any]],
    *,
    safe: str = _KEPT,
    what: str | None = None,
) -> EucentricError:
    """A task that did not do what it was asked, with what the service noted about it.

    Args:
        code: of the fatal error, or of what we made of it.
        events: the newest of the task's events.
        what: instead of the usual sentence.
    """
    troubles = (str(event["code"]) for event in events if event.get("is_error"))
    blocked = next((trouble for trouble in troubles if trouble != code), code)
    cause = f"; last trouble: {blocked}" if blocked != code else ""
    # A task that ran out of time says why in its events only.
    step = _NEXT_STEPS.get(blocked if code in ("EXPIRED", "CANCELED") else code)
    kind: type[EucentricError] = FarEndError
    if code in _NO_ROOM:
        kind = OutOfSpaceError
    elif code in _OF_A_FILE:
        kind = TransferFailedError
    return kind(
        what or f"Globus task {task_id} failed: {code}, {description[:_MAX_TEXT]}{cause}.",
        safe=safe,
        next_step=step or _NEXT_STEPS.get(code) or "see the events, and the task on app.globus.org/activity.",
        task_id=task_id,
        globus_code=code,
        events=list[JsonValue](list(events)),
    )
