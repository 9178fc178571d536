"""All checks, in the order of the report."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from eucentric_core import Settings

from ._clock import check_clock, check_time_service
from ._destination import check_destination
from ._disk import check_disk
from ._finding import Finding
from ._ports import check_ports
from ._python import check_bytecode, check_descriptors, check_python
from ._roles import check_roles
from ._site import check_site
from ._tools import check_globus, check_gpu, check_slurm, check_torch

__all__ = ["examine"]


def examine(settings: Settings, *, environment: Mapping[str, str] | None = None) -> list[Finding]:
    """Examine this machine. Leaves nothing changed; takes about a second, more where shards go far away.

    Args:
        settings: of this machine.
        environment: variables to look at, by default those of the process.
    """
    variables = os.environ if environment is None else environment
    return [
        check_python(),
        check_bytecode(variables),
        *check_descriptors(),
        *check_disk(settings),
        check_destination(settings),
        check_clock(datetime.now(UTC)),
        check_time_service(),
        *check_ports(settings),
        check_slurm(),
        check_site(settings),
        check_globus(variables, Path.home()),
        check_gpu(),
        check_torch(),
        *check_roles(),
    ]
