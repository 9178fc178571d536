"""The dose ledger through sessions and restarts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from eucentric_core import EucentricError

from ._exposure import Exposure
from ._field import Field
from ._store import LedgerStore

__all__ = ["SAVE_EVERY_S", "DoseBook"]

SAVE_EVERY_S = 1.0

_log = logging.getLogger(__name__)


class DoseBook:
    """Keeps the ledger of the present session, and writes it while the beam is on; the caller holds a lock.

    Args:
        path: the file, whose folder exists; None forgets everything at the end.
        region_size_m: side of a region.

    Raises:
        ConfigurationError: the file is damaged, or another process holds it.
    """

    def __init__(self, path: Path | None, region_size_m: float) -> None:
        self._store = LedgerStore(path)
        self._region_size_m = region_size_m
        self._saved_s: float | None = None
        self._beam_on = False
        self.fault: EucentricError | None = None
        self.ledger = self._store.load("", region_size_m)

    def record(
        self,
        now_s: float,
        session: str,
        exposure: Exposure | None,
        expected: tuple[Field, float, float] | None,
        *,
        keep: bool,
    ) -> None:
        """Enter an exposure, write what has to be written, and turn to another session if it has changed.

        Args:
            now_s: monotonic seconds.
            session: the session that goes on now; "" outside any.
            exposure: what has happened since the last call.
            expected: what may happen unseen if the agent dies now; None: the beam is blanked.
            keep: whether a budget depends on it; without one nothing is written.
        """
        if exposure is not None:
            self.ledger.add(
                exposure.field, exposure.dose_e_per_a2, exposure.beam_on_s, within=exposure.within
            )
        turned = self._beam_on is (expected is None)
        self._beam_on = expected is not None
        due = self._saved_s is None or now_s - self._saved_s >= SAVE_EVERY_S
        changed = session != self.ledger.session
        if keep and (turned or changed or (due and (exposure is not None or self.fault is not None))):
            self._save(now_s, None if changed else expected)
        if changed:
            self._try(lambda: self._turn_to(session, expected, keep))

    def close(self) -> None:
        """Write the ledger a last time and close the file."""
        if self._saved_s is not None:
            self._save(self._saved_s, None)
        self._store.close()

    def _save(self, now_s: float, expected: tuple[Field, float, float] | None) -> None:
        self._saved_s = now_s
        self._try(lambda: self._store.save(self.ledger, expected))

    def _turn_to(self, session: str, expected: tuple[Field, float, float] | None, keep: bool) -> None:
        """Go on with another session's ledger. What was spent outside any session belongs to the next."""
        ledger = self._store.load(session, self._region_size_m)
        if self.ledger.session == "":
            ledger.absorb(self.ledger)
            if keep:
                self._store.save(ledger, expected, instead_of="")
        self.ledger = ledger

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except EucentricError as error:
            # The beam's being on record matters less than its being blanked in time: the fault refuses more
            # beam and trips, and the next call tries again.
            if self.fault is None:
                _log.error("%s", error)
            self.fault = error
        else:
            self.fault = None
