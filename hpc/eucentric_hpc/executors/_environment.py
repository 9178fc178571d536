"""What every worker finds in its environment, whatever starts it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from .._node_cache import CACHE_BYTES_VARIABLE, CACHE_VARIABLE
from ._site import Site

__all__ = ["site_lines", "worker_environment"]


def worker_environment(workers: int, cores: int | None = None) -> dict[str, str]:
    """Variables of a worker that shares a node with others.

    Args:
        workers: on the node. With more than one each has its share of the cores for linear algebra: without a
            limit every worker takes all of them, and they slow each other down.
        cores: of the node, None if that is not known: each of several workers has one then.
    """
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    share = 1 if cores is None else max(1, cores // workers)
    threads = dict.fromkeys(names, str(share)) if workers > 1 or cores is not None else {}
    # A crash of compiled code says where, in the log that its error quotes.
    return {**threads, "PYTHONFAULTHANDLER": "1"}


def site_lines(site: Site | None, environment: Mapping[str, str]) -> str:
    """Shell lines that prepare a node for its workers."""
    lines = ["unset PYTHONDONTWRITEBYTECODE"]
    if site is not None:
        lines += [f"module load {shlex.quote(module)}" for module in site.modules]
        if site.cache is not None:
            environment = {
                **environment,
                CACHE_VARIABLE: site.cache.folder,
                CACHE_BYTES_VARIABLE: str(int(site.cache.max_gib * 2**30)),
            }
    lines += [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    if site is not None and site.worker_init.strip():
        lines.append(site.worker_init.strip())
    return "\n".join(lines)
