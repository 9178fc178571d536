"""One family of errors that says the same thing on every machine and across the wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from pydantic import JsonValue

from ._model import FrozenModel

__all__ = [
    "BundleError",
    "BusyError",
    "CommandRefusedError",
    "ConfigurationError",
    "DataFormatError",
    "ErrorReport",
    "EucentricError",
    "InstrumentLostError",
    "IntegrityError",
    "InterlockError",
    "LeaseError",
    "MoveFailedError",
    "MoveHaltedError",
    "NotAuthorisedError",
    "OutOfSpaceError",
    "ReleaseExpiredError",
    "ReleaseRefusedError",
    "ReleaseUnreachableError",
    "RemoteError",
    "ScanAbortedError",
    "ServiceUnavailableError",
    "TransferFailedError",
    "TransportError",
    "UnsupportedError",
    "VendorCallError",
    "error_from_report",
]


class ErrorReport(FrozenModel):
    """An error as plain JSON: what a client, a log line and the audit trail receive."""

    code: str
    what: str
    safe: str
    next_step: str
    details: dict[str, JsonValue] = {}


class EucentricError(Exception):
    """Base of all errors of this project.

    Args:
        what: what happened, one sentence.
        safe: what is safe now: the state of beam, sample and data.
        next_step: what the reader can do about it.
        details: machine-readable facts, plain JSON.
    """

    code: ClassVar[str] = "error"

    reported: bool = False
    """Whether another machine answered with it: what was asked has arrived there, asking again is vain."""

    def __init__(self, what: str, /, *, safe: str, next_step: str, **details: JsonValue) -> None:
        super().__init__(what)
        self.what = what
        self.safe = safe
        self.next_step = next_step
        self.details = details

    def __str__(self) -> str:
        return f"{self.what} Safe: {self.safe} Next: {self.next_step}"

    def __reduce__(self) -> tuple[Callable[..., EucentricError], tuple[object, ...]]:
        # An error raised in a worker process reaches the caller as itself: the default would call the
        # class without its keyword arguments there, and take the whole pool down.
        return _rebuild, (type(self), self.what, self.safe, self.next_step, self.details)

    def report(self) -> ErrorReport:
        """The same error as plain JSON."""
        return ErrorReport(
            code=self.code, what=self.what, safe=self.safe, next_step=self.next_step, details=self.details
        )


def _rebuild(
    kind: type[EucentricError], what: str, safe: str, next_step: str, details: dict[str, JsonValue]
) -> EucentricError:
    error = kind(what, safe=safe, next_step=next_step)
    # Not as keywords: what another machine calls a detail may be the name of an argument.
    error.details = dict(details)
    return error


class ConfigurationError(EucentricError):
    """A setting is missing, unknown or out of bounds."""

    code = "configuration"


class UnsupportedError(EucentricError):
    """The instrument has no such primitive; see its `Capabilities`."""

    code = "unsupported"


class CommandRefusedError(EucentricError):
    """The agent refused a command before it reached the driver."""

    code = "command_refused"


class LeaseError(CommandRefusedError):
    """The command carried no lease, an expired one, or one with an old fencing epoch."""

    code = "lease"


class NotAuthorisedError(CommandRefusedError):
    """The caller's role does not entitle them to this, or their certificate is not accepted."""

    code = "not_authorised"


class InterlockError(CommandRefusedError):
    """An interlock refused the command before it reached the driver."""

    code = "interlock"


class MoveFailedError(EucentricError):
    """A move did not arrive where it was commanded to; the details say where it stands."""

    code = "move_failed"


class MoveHaltedError(MoveFailedError):
    """A stage move was halted before it arrived."""

    code = "move_halted"


class ScanAbortedError(EucentricError):
    """A scan or an exposure was aborted before it was complete; nothing of it is published."""

    code = "scan_aborted"


class VendorCallError(EucentricError):
    """A call of the vendor's interface failed, did not return in time, or did not do what it said."""

    code = "vendor_call"


class BusyError(EucentricError):
    """The device is doing something else; nothing was queued behind it."""

    code = "busy"


class InstrumentLostError(EucentricError):
    """The process that holds the instrument was lost; the next one makes the instrument safe first."""

    code = "instrument_lost"


class TransportError(EucentricError):
    """The other side did not answer, or answered something that is not the protocol."""

    code = "transport"


class ServiceUnavailableError(TransportError):
    """A service did not start, or is not reachable within its time-out."""

    code = "service_unavailable"


class DataFormatError(EucentricError):
    """A file or message does not hold what it must hold."""

    code = "data_format"


class IntegrityError(EucentricError):
    """A content hash, length or signature does not match."""

    code = "integrity"


class BundleError(EucentricError):
    """A model bundle was refused; the model in service keeps serving."""

    code = "bundle"


class ReleaseRefusedError(BundleError):
    """Signed metadata of releases was refused: wrong keys, older than before, mixed, altered, too long."""

    code = "release_refused"


class ReleaseExpiredError(ReleaseRefusedError):
    """The newest metadata at hand has expired: nobody can know whether there are newer releases."""

    code = "release_expired"


class ReleaseUnreachableError(TransportError):
    """The place where releases are published does not answer, or is not there."""

    code = "release_unreachable"


class TransferFailedError(EucentricError):
    """A file did not arrive; the source is kept."""

    code = "transfer_failed"


class OutOfSpaceError(EucentricError):
    """A disk has less room than the work needs."""

    code = "out_of_space"


class RemoteError(EucentricError):
    """The other machine failed in a way this version has no class for."""

    code = "remote"


_BY_CODE: dict[str, type[EucentricError]] = {
    kind.code: kind
    for kind in (
        ConfigurationError,
        UnsupportedError,
        CommandRefusedError,
        LeaseError,
        NotAuthorisedError,
        InterlockError,
        MoveFailedError,
        MoveHaltedError,
        ScanAbortedError,
        VendorCallError,
        BusyError,
        InstrumentLostError,
        TransportError,
        ServiceUnavailableError,
        DataFormatError,
        IntegrityError,
        BundleError,
        ReleaseRefusedError,
        ReleaseExpiredError,
        ReleaseUnreachableError,
        TransferFailedError,
        OutOfSpaceError,
        RemoteError,
    )
}


def error_from_report(report: ErrorReport) -> EucentricError:
    """The typed error that a report from another machine stands for.

    A code this version does not know becomes `RemoteError` and keeps its code in the details.
    """
    kind, details = _BY_CODE.get(report.code), report.details
    if kind is None:
        kind, details = RemoteError, {**report.details, "remote_code": report.code}
    error = _rebuild(kind, report.what, report.safe, report.next_step, details)
    error.reported = True
    return error
