"""What an S3 store and its SDK complain about, as typed errors that hold no secret."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from eucentric_core import EucentricError, OutOfSpaceError, TransferFailedError

from .._mover import FarEndError

__all__ = ["client_error", "error_code", "is_missing", "s3_errors", "whole"]

_KEPT = "the source is kept; it does not count as arrived."
_MAX_TEXT = 200

_KEY_REFUSED = {
    "AccessDenied",
    "AccountProblem",
    "AllAccessDisabled",
    "ExpiredToken",
    "Forbidden",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "401",
    "403",
}
_BUSY = {"SlowDown", "Throttling", "TooManyRequests", "RequestLimitExceeded", "ServiceUnavailable"}
_BUSY_STATUS = (429, 503)
_CHANGED = {"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "IncompleteBody"}
_NO_ROOM = {"QuotaExceeded", "QuotaExceededException", "InsufficientStorage", "XMinioStorageFull"}
_NO_ROOM_STATUS = (507,)
_MISSING = {"NoSuchKey", "NotFound", "404"}


def _code(error: Any) -> tuple[str, int]:
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return str(error.response.get("Error", {}).get("Code", "")), status


def error_code(error: Any) -> str:
    """The store's own word for what is wrong, from a `ClientError`."""
    return _code(error)[0]


def client_error() -> type[Exception]:
    """The SDK's class of errors that are the store's answer; imported when it is needed."""
    from botocore.exceptions import ClientError

    return ClientError


def is_missing(error: Any) -> bool:
    """Whether a `ClientError` says that there is no such object."""
    return error_code(error) in _MISSING


class _AnswerCutError(Exception):
    """A connection ended in the middle of an answer, which its reader took for the whole of it."""


def whole(answer: Any, *fields: str) -> Any:
    """An answer of the SDK's that has what such an answer always has; for use inside `s3_errors`.

    Where the connection ends between two headers, or before an empty-looking body, the SDK says nothing: a
    listing without its own fields is no empty listing.
    """
    missing = [field for field in fields if field not in answer]
    if missing:
        raise _AnswerCutError(", ".join(missing))
    return answer


@contextmanager
def s3_errors(name: str, where: str) -> Iterator[None]:
    """Turn the SDK's errors into typed ones.

    Raises:
        FarEndError: the store is not there, does not want us, or asks to be left alone for a while.
        OutOfSpaceError: a quota or the store is full.
        TransferFailedError: anything else about this one file.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ClientError as error:
        raise _refused(*_code(error), _text(error), name, where) from error
    except _AnswerCutError as error:
        raise _cut(f"without {error}", where) from error
    except (BotoCoreError, HTTPError) as error:
        raise _unreachable(error, where) from error
    except Exception as error:
        if not _is_of_the_sdk(error):
            raise
        raise _cut(type(error).__name__, where) from error


def _is_of_the_sdk(error: Exception) -> bool:
    """Whether the SDK itself has tripped over an answer, such as a header that ends in the middle."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and str(trace.tb_frame.f_globals.get("__name__")).startswith("botocore.")


def _cut(why: str, where: str) -> FarEndError:
    return FarEndError(
        f"{where} hung up in the middle of an answer ({why}).",
        safe=_KEPT,
        next_step="check the network and the store; it is tried again.",
    )


def _text(error: Any) -> str:
    message = str(error.response.get("Error", {}).get("Message", ""))
    return "".join(letter for letter in message if letter.isprintable())[:_MAX_TEXT]


def _refused(code: str, status: int, text: str, name: str, where: str) -> EucentricError:
    facts: dict[str, Any] = {"s3_code": code, "http_status": status}
    if code == "RequestTimeTooSkewed":
        return FarEndError(
            f"{where} says that this machine's clock is wrong.",
            safe=_KEPT,
            next_step="set the clock: see `eucentric doctor`; it is tried again.",
            **facts,
        )
    if code == "NoSuchBucket":
        return FarEndError(
            f"There is no bucket at {where}.",
            safe=_KEPT,
            next_step="make the bucket or correct the address; it is tried again.",
            **facts,
        )
    if code in _NO_ROOM or status in _NO_ROOM_STATUS:
        return OutOfSpaceError(
            f"{where} has no room for {name} ({code}).",
            safe=_KEPT,
            next_step="free space there or raise the quota; it is tried again.",
            **facts,
        )
    if code in _KEY_REFUSED:
        return FarEndError(
            f"{where} does not accept this machine's key ({code}).",
            safe=_KEPT,
            next_step="check the credentials and what the key may do (docs/movers.md); it is tried again.",
            **facts,
        )
    if code in _BUSY or status in _BUSY_STATUS:
        return FarEndError(
            f"{where} asks to be left alone for a while ({status} {code}).",
            safe=_KEPT,
            next_step="nothing: it is tried again, less and less often.",
            **facts,
        )
    if code in _CHANGED:
        return TransferFailedError(
            f"{name} arrived at {where} with another content than it left with ({code}).",
            safe="nothing appeared under the name; the source is kept.",
            next_step="check the network between; it is tried again.",
            **facts,
        )
    if code in _MISSING:
        return TransferFailedError(
            f"{name} is not at {where}.", safe="nothing was changed.", next_step="check the name.", **facts
        )
    return TransferFailedError(
        f"{where} answered {status} {code} about {name}: {text or 'no reason given'}.",
        safe=_KEPT,
        next_step="it is tried again; ask who runs the store if it stays.",
        **facts,
    )


def _unreachable(error: Exception, where: str) -> FarEndError:
    from botocore import exceptions as sdk

    if isinstance(error, sdk.SSLError):
        what = f"The certificate of {where} is not accepted, or it speaks no TLS."
        then = "check s3.endpoint and s3.authority (the site's certificates)"
    elif isinstance(
        error,
        sdk.NoCredentialsError
        | sdk.PartialCredentialsError
        | sdk.ProfileNotFound
        | sdk.ConfigParseError
        | sdk.CredentialRetrievalError
        | sdk.InvalidConfigError,
    ):
        what = f"There is no complete key for {where} ({type(error).__name__})."
        then = "write one where s3.credentials and s3.profile say (docs/movers.md)"
    elif isinstance(error, sdk.ReadTimeoutError | sdk.ConnectTimeoutError):
        what = f"{where} did not answer in time."
        then = "check the network and the store"
    else:
        what = f"{where} cannot be reached or hung up ({type(error).__name__})."
        then = "check s3.endpoint, the network and the store"
    return FarEndError(what, safe=_KEPT, next_step=f"{then}; it is tried again.")
