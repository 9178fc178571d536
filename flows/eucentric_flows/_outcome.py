"""How a run can end."""

from __future__ import annotations

from typing import Literal

__all__ = ["Outcome"]

Outcome = Literal["promoted", "rejected", "done", "held", "cancelled", "failed"]
"""`rejected`: the challenger failed its gates. `done`: a run that was not about a version came to its end.
`held`: the run was not admitted, or could not go on. `cancelled`: a person ended it."""
