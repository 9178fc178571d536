"""What each policy remembers, from one start of the service to the next."""

from __future__ import annotations

from ..policy import Policy, PolicyState
from ._store import PolicyStore

__all__ = ["States"]


class States:
    """States by policy. A policy whose trigger was changed begins with an empty memory."""

    def __init__(self, store: PolicyStore) -> None:
        self._store = store

    def of(self, policy: Policy) -> PolicyState:
        """The state of a policy."""
        rows = self._store.rows("SELECT declared, state FROM states WHERE policy = ?", policy.name)
        if not rows:
            return PolicyState()
        state = PolicyState.model_validate_json(rows[0]["state"])
        if rows[0]["declared"] != policy.trigger.model_dump_json():
            return PolicyState(waiting=state.waiting)
        return state

    def keep(self, policy: Policy, state: PolicyState) -> None:
        """Remember a state."""
        with self._store.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO states VALUES (?, ?, ?)",
                (policy.name, policy.trigger.model_dump_json(), state.model_dump_json()),
            )
