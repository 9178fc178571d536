"""What a policy would have done with the events of the last days."""

from __future__ import annotations

import statistics
from datetime import timedelta

from eucentric_core import Settings, utc_now

from ..engine import Journal, PolicyStore, policies_file
from ..policy import Backtest, Policy, backtest
from ..runs import RunRecord, runs_path

__all__ = ["back_test_policy", "back_test_sentence", "usual_run_s"]

_TYPICAL_RUN_S = 600.0


def usual_run_s(settings: Settings, model: str) -> float:
    """How long a run about a model takes: the median of those recorded, ten minutes without any (s)."""
    with RunRecord(runs_path(settings)) as record:
        ended = [
            (run.ended_utc - run.started_utc).total_seconds()
            for run in record.history()
            if run.model == model and run.ended_utc is not None
        ]
    return max(1.0, statistics.median(ended)) if ended else _TYPICAL_RUN_S


def back_test_policy(
    settings: Settings, policy: Policy, *, days: float, run_s: float, approve: bool = True
) -> Backtest:
    """Replay the recorded events of the last days. Nothing is run.

    Args:
        settings: of the hub.
        policy: which one; it need not be in use.
        days: how many days back.
        run_s: how long each of its runs would have taken.
        approve: whether a person would have said yes at once, or not answered.
    """
    end = utc_now()
    begin = end - timedelta(days=days)
    with PolicyStore(policies_file(settings)) as store:
        events = Journal(store).between(begin, end)
        return backtest(policy, events, begin=begin, end=end, run_s=run_s, approve=approve)


def back_test_sentence(outcome: Backtest, run_s: float) -> str:
    """What came of a back-test, for people.

    Args:
        outcome: of `back_test_policy`.
        run_s: how long its runs were taken to last.
    """
    counts = outcome.counts
    hours = f" ({outcome.node_hours:.2g} node-hours)" if outcome.node_hours else ""
    return (
        f"From {outcome.begin_utc:%Y-%m-%d %H:%M} to {outcome.end_utc:%Y-%m-%d %H:%M} UTC, {outcome.events} "
        f"event(s): {outcome.policy} would have fired {counts.get('fired', 0)} time(s){hours}, held back "
        f"{counts.get('held', 0)}, put off {counts.get('deferred', 0)}; {counts.get('not_met', 0)} event(s) "
        f"were not enough. Runs are taken to last {run_s:.0f} s, and no other policy to run."
    )
