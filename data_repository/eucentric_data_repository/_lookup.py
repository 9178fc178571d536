"""Small questions that several writers ask of the catalogue inside their transaction."""

from __future__ import annotations

from sqlalchemy import Connection, select

from ._catalogue import require_name, unknown_dataset
from ._tables import datasets

__all__ = ["require_dataset"]


def require_dataset(connection: Connection, dataset_id: str) -> None:
    """Let the name of a data set pass.

    Raises:
        ConfigurationError: there is no such data set.
    """
    require_name(dataset_id)
    held = select(datasets.c.dataset_id).where(datasets.c.dataset_id == dataset_id)
    if connection.execute(held).first() is None:
        raise unknown_dataset(dataset_id)
