"""The interpreter, and what its surroundings do to it."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Mapping

from ._finding import Finding

__all__ = ["check_bytecode", "check_descriptors", "check_python"]

_OLDEST_PYTHON = (3, 11)
_ENOUGH_DESCRIPTORS = 1024


def check_python(version: tuple[int, int] = sys.version_info[:2]) -> Finding:
    """Whether this Python is new enough."""
    detail = f"Python {platform.python_version()} at {sys.executable}"
    if version < _OLDEST_PYTHON:
        return Finding(
            name="python",
            status="fail",
            detail=detail,
            fix="install Python 3.11 or newer and make the environment with it",
        )
    return Finding(name="python", status="ok", detail=detail)


def check_bytecode(environment: Mapping[str, str]) -> Finding:
    """Whether compiled modules are kept; without them every start takes two to three times as long."""
    if environment.get("PYTHONDONTWRITEBYTECODE"):
        return Finding(
            name="bytecode",
            status="warn",
            detail="PYTHONDONTWRITEBYTECODE is set: programs start two to three times slower",
            fix="unset PYTHONDONTWRITEBYTECODE",
        )
    return Finding(name="bytecode", status="ok", detail="compiled modules are kept")


def check_descriptors() -> Iterator[Finding]:
    """Whether enough files and sockets may be open at a time. Windows has no such limit."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    detail = f"{soft} files and sockets may be open"
    if soft != resource.RLIM_INFINITY and soft < _ENOUGH_DESCRIPTORS:
        yield Finding(
            name="descriptors",
            status="warn",
            detail=f"{detail}, many subscribers need {_ENOUGH_DESCRIPTORS}",
            fix=f"ulimit -n {min(hard, 65536) if hard > 0 else 65536}, or LimitNOFILE= in the service's unit",
        )
    else:
        yield Finding(name="descriptors", status="ok", detail=detail)
