"""A model registry that is down holds a run up; it does not end it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from eucentric_model_registry import RegistryUnavailableError

__all__ = ["KEEP_TRYING_S", "patient"]

_T = TypeVar("_T")

KEEP_TRYING_S = 1800.0
"""After that the run fails; `eucentric run resume` goes on where it stopped."""


def patient(
    stage: Callable[[Callable[[str], None]], _T],
    *,
    keep_trying_s: float = KEEP_TRYING_S,
    longest_pause_s: float = 30.0,
) -> Callable[[Callable[[str], None]], _T]:
    """A stage that waits while MLflow does not answer, and says so. It must be one that may be repeated.

    Args:
        stage: takes what notes its progress.
        keep_trying_s: no new try is begun after that.
        longest_pause_s: between two tries.
    """

    def waiting(say: Callable[[str], None]) -> _T:
        def note(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome is not None else None
            pause_s = state.next_action.sleep if state.next_action is not None else 0.0
            what = error.what if isinstance(error, RegistryUnavailableError) else "MLflow does not answer"
            say(f"waiting for the model registry, next try in {pause_s:.0f} s: {what}")

        attempts = Retrying(
            retry=retry_if_exception_type(RegistryUnavailableError),
            wait=wait_random_exponential(1, max=longest_pause_s),
            stop=stop_after_delay(keep_trying_s),
            before_sleep=note,
            reraise=True,
        )
        return attempts(stage, say)

    return waiting
