"""Which code runs here, and with what: for the lineage of what it makes."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import subprocess
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pydantic import JsonValue

__all__ = ["code_version", "run_environment"]

_DISTRIBUTION = "eucentric"
_PACKAGES = (
    "eucentric",
    "torch",
    "numpy",
    "scipy",
    "safetensors",
    "onnx",
    "onnxruntime",
    "openvino",
    "parsl",
    "mlflow",
    "tuf",
)
_GIT_TIMEOUT_S = 10.0
_SHOWN = 12


@lru_cache(maxsize=1)
def code_version() -> str:
    """Version of the package and the revision of its code, as this process first asked for it.

    For example `eucentric 0.1.0 (git 1f0c2a9b7d3e)`, with `, changed` where tracked files differ from that
    revision. The revision is what pip noted when it installed from a repository (PEP 610), or that of the
    checkout of an editable installation; of a wheel, which has none, the hash of the list of its files.
    """
    found = importlib.metadata.distribution(_DISTRIBUTION)
    revision = _revision(found)
    return f"{_DISTRIBUTION} {found.version}" + (f" ({revision})" if revision else "")


def run_environment() -> dict[str, str]:
    """Python, system, processor and the versions of the packages that answers depend on, by name."""
    found = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def _revision(found: Distribution) -> str:
    origin = _origin(found)
    vcs = origin.get("vcs_info")
    if isinstance(vcs, dict) and isinstance(commit := vcs.get("commit_id"), str):
        return f"git {commit[:_SHOWN]}"
    folder = origin.get("dir_info")
    if isinstance(folder, dict) and folder.get("editable") is True:
        return _checked_out(Path(url2pathname(urlsplit(str(origin.get("url", ""))).path)))
    listed = found.read_text("RECORD")
    return f"files {hashlib.sha256(listed.encode()).hexdigest()[:_SHOWN]}" if listed else ""


def _origin(found: Distribution) -> dict[str, JsonValue]:
    try:
        origin = json.loads(found.read_text("direct_url.json") or "{}")
    except ValueError:
        return {}
    return origin if isinstance(origin, dict) else {}


def _checked_out(folder: Path) -> str:
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if not commit:
        return "no revision"
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"git {commit[:_SHOWN]}" + (", changed" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    """What git says; nothing where there is none, or no repository."""
    try:
        said = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.stdout.strip()
