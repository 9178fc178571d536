"""Where this machine trains: what kind of compute, on which site, and how patient it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from ._model import FrozenModel

__all__ = ["HpcSettings"]

_AbsolutePath = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]


class HpcSettings(FrozenModel):
    """Where training runs.

    Args:
        executor: kind of compute, e.g. `parsl-local`, `parsl-slurm`, `globus-compute`.
        workers: tasks at a time, where the site's file does not say how many workers a node has.
        start_timeout_s: how long workers on this machine may take to come up, or a batch system to accept
            a job. Waiting in its queue is not counted.
        site: the site file of a cluster: a path that ends in `.toml`, or the name of a file in `sites`.
        sites: folder of the named site files.
        retries: how often a task is tried again whose worker was preempted or died.
        grace_s: how long a worker that is told to stop has for its checkpoint; what is done then is lost.
    """

    executor: str = "parsl-local"
    workers: Annotated[int, Field(ge=1, le=1024)] = 2
    start_timeout_s: Annotated[float, Field(gt=0, le=3600)] = 120.0
    site: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    sites: Annotated[_AbsolutePath, Field(validate_default=True)] = Path("~/.eucentric/sites")
    retries: Annotated[int, Field(ge=0, le=100)] = 5
    grace_s: Annotated[float, Field(ge=1, le=600)] = 30.0

    @property
    def site_path(self) -> Path | None:
        """The site's file; None where no site is named."""
        if self.site is None:
            return None
        if self.site.endswith(".toml"):
            return Path(self.site).expanduser().absolute()
        return self.sites / f"{self.site}.toml"
