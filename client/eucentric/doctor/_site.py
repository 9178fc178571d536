"""Whether the site that trainings are to run on is described, and can be reached from here."""

from __future__ import annotations

import importlib.util
import shutil

from eucentric_core import ConfigurationError, Settings

from ._finding import Finding

__all__ = ["check_site"]

_NAME = "training site"


def check_site(settings: Settings, submit: str = "sbatch") -> Finding:
    """Read the site file that `hpc.site` names; nothing is submitted."""
    if settings.hpc.site is None:
        return Finding(
            name=_NAME, status="absent", detail=f"hpc.site is not set: {settings.hpc.executor} needs none"
        )
    if importlib.util.find_spec("torch") is None:
        return Finding(
            name=_NAME,
            status="warn",
            detail="hpc.site is set, and nothing that trains is installed",
            fix="pip install 'eucentric[hpc]'",
        )
    from eucentric_hpc.executors import site_of

    try:
        site = site_of(settings.hpc)
    except ConfigurationError as error:
        return Finding(name=_NAME, status="fail", detail=error.what, fix=error.next_step)
    if settings.hpc.executor == "parsl-slurm" and shutil.which(submit) is None:
        return Finding(
            name=_NAME,
            status="fail",
            detail=f"{site.name}: {submit} is not on the PATH",
            fix="run this where jobs can be submitted, or use Globus Compute (docs/hpc.md).",
        )
    return Finding(name=_NAME, status="ok", detail=f"{site.name}, by {settings.hpc.executor}")
