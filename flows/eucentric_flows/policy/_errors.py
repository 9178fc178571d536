"""Why a policy cannot be used, told to people who write it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from eucentric_core import EucentricError, FrozenModel

__all__ = ["PolicyError", "Problem"]


class Problem(FrozenModel):
    """One thing that is wrong with a policy file.

    Attributes:
        line: counted from 1.
        column: counted from 1, in characters.
        key: as a dotted path; empty if the file cannot be read as TOML.
        reason: one clause.
        nearest: the valid word that was probably meant.
    """

    line: Annotated[int, Field(ge=1)]
    column: Annotated[int, Field(ge=1)]
    key: str
    reason: str
    nearest: str | None = None

    @property
    def sentence(self) -> str:
        """All of it, without a full stop."""
        where = f"line {self.line}, column {self.column}"
        key = f", {self.key}" if self.key else ""
        meant = f"; did you mean {self.nearest}?" if self.nearest else ""
        return f"{where}{key}: {self.reason}{meant}"


class PolicyError(EucentricError):
    """A policy cannot be used, or cannot do what is asked of it."""

    code = "policy"

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the file, in the order of its lines; empty if the error is about no file."""
        found = self.details.get("problems", [])
        return tuple(Problem.model_validate(each) for each in found) if isinstance(found, list) else ()
