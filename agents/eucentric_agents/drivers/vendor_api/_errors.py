"""Failures of a vendor's interface."""

from __future__ import annotations

from eucentric_core import ServiceUnavailableError, VendorCallError

__all__ = ["VendorCallError", "call_failed", "connection_lost"]


def call_failed(vendor: str, error: BaseException) -> VendorCallError:
    """The error for what the vendor's own code raised."""
    return VendorCallError(
        f"{vendor} answered with an error: {type(error).__name__}: {error}.",
        safe="the beam can be blanked; whether the call took effect is not known.",
        next_step="read the state of the instrument, and look at the vendor's own log.",
    )


def connection_lost(vendor: str, error: BaseException) -> ServiceUnavailableError:
    """The error for a vendor's server that does not answer."""
    return ServiceUnavailableError(
        f"{vendor} does not answer: {type(error).__name__}: {error}.",
        safe="nothing further is sent; the beam is blanked first once it answers again.",
        next_step="start the vendor's server again; the next call connects to it.",
    )
