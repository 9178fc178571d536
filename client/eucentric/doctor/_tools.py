"""What a machine may have and need not: scheduler, Globus, GPU, PyTorch."""

from __future__ import annotations

import importlib.metadata
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ._finding import Finding

__all__ = ["answer_of", "check_globus", "check_gpu", "check_slurm", "check_torch"]

_TIMEOUT_S = 10
_GLOBUS_VARIABLES = ("GLOBUS_COMPUTE_CLIENT_ID", "GLOBUS_SDK_CLIENT_ID", "GLOBUS_CLI_CLIENT_ID")
_GLOBUS_FILES = (".globus_compute/storage.db", ".globus/app", ".globus/cli/storage.db")


def answer_of(command: Sequence[str]) -> str | None:
    """What a program prints, or None if it is missing, fails, or does not answer within 10 s."""
    try:
        outcome = subprocess.run(
            list(command), capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return outcome.stdout.strip() if outcome.returncode == 0 else None


def check_slurm(program: str = "sinfo") -> Finding:
    """Whether jobs can be submitted to Slurm from here."""
    partitions = answer_of([program, "--noheader", "--format=%P"])
    if partitions is None:
        return Finding(
            name="slurm",
            status="absent",
            detail="no Slurm here: training runs on this machine",
            fix="run on a login node to train on a cluster",
        )
    return Finding(name="slurm", status="ok", detail=f"partitions: {', '.join(partitions.split()) or 'none'}")


def check_globus(environment: Mapping[str, str], user_home: Path) -> Finding:
    """Whether there are credentials for Globus. Their content is not looked at."""
    found = [name for name in _GLOBUS_VARIABLES if environment.get(name)]
    found += [f"~/{name}" for name in _GLOBUS_FILES if (user_home / name).exists()]
    if found:
        return Finding(name="globus", status="ok", detail=f"credentials in {', '.join(found)}")
    return Finding(
        name="globus",
        status="absent",
        detail="no Globus credentials: files move by the file system or S3",
        fix="set GLOBUS_COMPUTE_CLIENT_ID and GLOBUS_COMPUTE_CLIENT_SECRET, or `eucentric globus login`",
    )


def check_gpu(program: str = "nvidia-smi") -> Finding:
    """Whether there is an NVIDIA GPU and its driver answers."""
    answer = answer_of([program, "--query-gpu=name,memory.total", "--format=csv,noheader"])
    if not answer:
        return Finding(name="gpu", status="absent", detail="no NVIDIA GPU: inference runs on the CPU")
    return Finding(name="gpu", status="ok", detail="; ".join(answer.splitlines()))


def check_torch() -> Finding:
    """Whether PyTorch is installed. It is not imported: that takes seconds."""
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return Finding(
            name="torch",
            status="absent",
            detail="no PyTorch: this machine neither trains nor infers",
            fix="pip install 'eucentric[edge]'",
        )
    return Finding(name="torch", status="ok", detail=f"PyTorch {version}")
