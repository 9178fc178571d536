"""Who steers, in a notebook."""

from __future__ import annotations

from eucentric_core import LeaseStatus

from ._card import card

__all__ = ["holder_words", "lease_card"]


def holder_words(lease: LeaseStatus) -> str:
    """Who holds the lease, for how long still, and who would like to."""
    if lease.holder is None:
        return "free"
    said = f"{lease.holder}, {lease.remaining_s:.0f} s left"
    said += "".join(f"; {name} asks for it" for name in lease.wanted_by)
    return said + (f"; offered to {lease.offered_to}" if lease.offered_to else "")


def lease_card(lease: LeaseStatus) -> str:
    """A lease as HTML."""
    if lease.holder is None:
        return card("nobody steers", subtitle="the lease is free")
    rows = [
        ("left without a sign of life", f"{lease.remaining_s:.0f} s"),
        ("because", lease.reason or "no reason given"),
        ("role", "at the instrument itself" if lease.local else lease.role or "unknown"),
        ("asked for by", ", ".join(lease.wanted_by) or "nobody"),
        ("offered to", lease.offered_to or "nobody"),
    ]
    return card(f"{lease.holder} steers", rows)
