"""Whether what MLflow holds is still what somebody trusted signed: looked at once for each version."""

from __future__ import annotations

import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from eucentric_core import BundleError, EucentricError
from eucentric_model_registry import RegisteredVersion, Registry

__all__ = ["SignatureChecks", "SignatureState"]

_KEPT = 256
_AGAIN_AFTER_S = 30.0
_ONE_AT_A_TIME = ThreadPoolExecutor(max_workers=1, thread_name_prefix="signatures")


@dataclass(frozen=True, slots=True)
class SignatureState:
    """What was found.

    Attributes:
        state: `signed` if signature, expiry and every file hold; `refused` with the reason; `unknown` while
            it is being looked at, or where that was not possible.
        words: for people.
        again_s: monotonic time from which on it is worth another look; None if the answer holds.
    """

    state: Literal["signed", "refused", "unknown"]
    words: str
    again_s: float | None = None


_BEING_LOOKED_AT = SignatureState("unknown", "being checked")


class SignatureChecks:
    """Fetches each bundle once and holds it against its signature. Looking never waits.

    Args:
        open_registry: with the keys that are trusted now.
    """

    def __init__(self, open_registry: Callable[[], Registry]) -> None:
        self._open_registry = open_registry
        self._lock = threading.Lock()
        self._found: OrderedDict[tuple[str, int, str], SignatureState] = OrderedDict()

    def look(self, version: RegisteredVersion) -> SignatureState:
        """What is known of a version; has it checked if nothing is."""
        key = (version.name, version.version, version.envelope_sha256)
        with self._lock:
            found = self._found.get(key)
            if found is not None and (found.again_s is None or time.monotonic() < found.again_s):
                return found
            self._found[key] = _BEING_LOOKED_AT
            while len(self._found) > _KEPT:
                self._found.popitem(last=False)
        _ONE_AT_A_TIME.submit(self._check, key)
        return _BEING_LOOKED_AT

    def forget(self) -> None:
        """Check everything anew: keys were rotated, or somebody wants to know."""
        with self._lock:
            self._found.clear()

    def _check(self, key: tuple[str, int, str]) -> None:
        name, version, _ = key
        state = SignatureState("unknown", "could not be checked")
        try:
            with tempfile.TemporaryDirectory(prefix="eucentric-signature-") as folder:
                registry = self._open_registry()
                manifest = registry.download(name, version, Path(folder) / "bundle")
            trusted = registry.trusted.threshold
            state = SignatureState(
                "signed",
                f"signed by {trusted} trusted key{'s' if trusted > 1 else ''}, {len(manifest.files)} files "
                f"intact, valid until {manifest.expires_utc:%Y-%m-%d}",
            )
        except BundleError as error:
            state = SignatureState("refused", error.what)
        except EucentricError as error:
            state = SignatureState(
                "unknown", f"could not be checked: {error.what}", time.monotonic() + _AGAIN_AFTER_S
            )
        finally:
            with self._lock:
                self._found[key] = state
