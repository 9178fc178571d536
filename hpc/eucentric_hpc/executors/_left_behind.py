"""Jobs whose owner was killed and could not take them back."""

from __future__ import annotations

from pathlib import Path

__all__ = ["cancel_jobs_left_behind"]


def cancel_jobs_left_behind(run_dir: Path) -> list[str]:
    """Cancel jobs of a batch system that an owner of this folder submitted and, killed, could not cancel.

    Args:
        run_dir: what the owner gave to `open_executor`; nobody may be using it any more.

    Returns:
        The ids of the jobs that were cancelled; none where the executor has no batch system.

    Raises:
        ServiceUnavailableError: the batch system does not answer; the jobs are still known to the folder.
    """
    from ._slurm_provider import RECORD, cancel_left_behind

    # Looked at first: where there is no such file, there need be no batch system.
    return cancel_left_behind(run_dir) if (run_dir / RECORD).exists() else []
