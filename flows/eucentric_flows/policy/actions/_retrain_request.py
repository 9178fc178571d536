"""What a retraining is asked to do."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from eucentric_core import AnyEvent, FrozenModel, Identifier

__all__ = ["RetrainRequest"]


class RetrainRequest(FrozenModel):
    """What a retraining is asked to do. The same trigger id is never carried out twice.

    `policy` is None for a run that a person asks for, who is then in `requested_by`. Session and first
    sequence number say which frames to learn from; they come from the event where there is one.
    """

    trigger_id: Identifier
    policy: Identifier | None = None
    model: Identifier
    event: AnyEvent | None = None
    dataset_id: str | None = None
    session: Identifier | None = None
    first_sequence: Annotated[int, Field(ge=0)] = 0
    requested_by: Annotated[str | None, Field(max_length=200)] = None

    @model_validator(mode="after")
    def _says_which_frames(self) -> Self:
        if self.session_wanted is None and self.dataset_wanted is None:
            raise ValueError("give a session, a dataset_id, or an event that names one")
        return self

    @property
    def session_wanted(self) -> str | None:
        """Session to learn from."""
        return self.session or getattr(self.event, "session", None)

    @property
    def instrument_wanted(self) -> str | None:
        """Instrument whose session it is; None where the event names none: of every one of that name."""
        return getattr(self.event, "instrument", None)

    @property
    def dataset_wanted(self) -> str | None:
        """Data set to learn from, where the session is not known by name."""
        return self.dataset_id or getattr(self.event, "dataset_id", None)

    @property
    def sequence_wanted(self) -> int:
        """First sequence number to learn from."""
        return max(self.first_sequence, getattr(self.event, "first_sequence", 0))

    @property
    def says_where_to_begin(self) -> bool:
        """Whether the first sequence number was named, not just the session."""
        return self.first_sequence > 0 or hasattr(self.event, "first_sequence")
