"""What a recipe is given: files by the names that the recipe gives its inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from eucentric_core import FrozenModel, Identifier

from .._training_errors import TrainingDataError

__all__ = ["RecipeData"]


class RecipeData(FrozenModel):
    """Files to train from. Every path must mean the same file to the caller and to the workers.

    Attributes:
        files: name of the input to its files, in order; `Recipe.inputs` says which a recipe takes.
    """

    files: dict[Identifier, Annotated[tuple[Path, ...], Field(max_length=100_000)]]

    def one(self, name: str) -> Path:
        """The only file of an input.

        Raises:
            TrainingDataError: there is none, or there are several.
        """
        found = self.many(name)
        if len(found) != 1:
            raise _unusable(f"one file was expected as {name!r}, {len(found)} were given")
        return found[0]

    def optional(self, name: str) -> Path | None:
        """The only file of an input, None if nothing was given.

        Raises:
            TrainingDataError: there are several.
        """
        return self.one(name) if self.many(name) else None

    def many(self, name: str) -> tuple[Path, ...]:
        """The files of an input, perhaps none."""
        return self.files.get(name, ())

    def require_known(self, inputs: dict[str, str]) -> None:
        """Refuse names that a recipe does not know, and files that are not there.

        Raises:
            TrainingDataError: an input is unknown or a file is missing.
        """
        if unknown := sorted(set(self.files) - set(inputs)):
            raise _unusable(f"there is no input {unknown[0]!r}; there are {', '.join(sorted(inputs))}")
        for name, paths in self.files.items():
            if missing := [path for path in paths if not path.exists()]:
                raise _unusable(f"{missing[0]} of the input {name!r} is not there")


def _unusable(reason: str) -> TrainingDataError:
    return TrainingDataError(
        f"The training data cannot be used: {reason}.",
        safe="nothing was trained and no file was changed.",
        next_step="give the inputs as the recipe describes them (docs/recipes.md).",
    )
