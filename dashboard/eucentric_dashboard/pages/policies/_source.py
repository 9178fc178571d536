"""The policies of a site with what was decided about them, read once for all viewers."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from eucentric_core import DataFormatError, EucentricError, Settings
from eucentric_flows.desk import PolicyStanding, awaiting, policy_pause, policy_standings
from eucentric_flows.engine import DecisionView, History, PolicyStore, Switch, policies_file
from eucentric_flows.policy import Status

from ..._per_site import PerSite
from ..._shared_reading import SharedReading

__all__ = ["PolicyFacts", "policy_reading_of"]

_FRESH_S = 1.0
_SHOWN = 100
_DECIDED: tuple[Status, ...] = ("fired", "held", "deferred", "awaiting", "rejected", "expired")


@dataclass(frozen=True, slots=True)
class PolicyFacts:
    """What is known of a site's policies.

    Attributes:
        standings: by file name; empty where a file is bad.
        bad_file: why they cannot be read.
        pause: who paused all of them; None where they act.
        waiting: firings that await a person.
        decisions: the newest first, at most 100.
    """

    standings: tuple[PolicyStanding, ...]
    bad_file: EucentricError | None
    pause: Switch | None
    waiting: tuple[DecisionView, ...]
    decisions: tuple[DecisionView, ...]


def _read(settings: Settings) -> PolicyFacts:
    bad_file: EucentricError | None = None
    standings: tuple[PolicyStanding, ...] = ()
    try:
        try:
            standings = policy_standings(settings)
        except EucentricError as error:
            bad_file = error
        with PolicyStore(policies_file(settings)) as store:
            decisions = History(store).newest(statuses=_DECIDED, limit=_SHOWN)
        return PolicyFacts(standings, bad_file, policy_pause(settings), awaiting(settings), decisions)
    except sqlite3.Error as error:
        raise DataFormatError(
            f"The books of the policies cannot be read: {error}.",
            safe="policies act as before; only this page does not see them.",
            next_step="check the disk; `eucentric policy ls` reads the same books.",
        ) from error


policy_reading_of = PerSite(lambda settings: SharedReading(lambda: _read(settings), fresh_s=_FRESH_S))
