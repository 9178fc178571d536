"""An agent in a process of its own that can be made to hold its interpreter's lock.

python agent_process.py CONFIG LEASE_DURATION_S
"""

from __future__ import annotations

import ctypes
import signal
import sys
from pathlib import Path

from eucentric_agents import Agent
from eucentric_core import configure_logging, load_settings, service_lifetime

HOG_S = 5


def hog(_signal: int, _frame: object) -> None:
    """Let no thread of this process run for a while: a function called through PyDLL keeps the lock."""
    ctypes.PyDLL(None).sleep(HOG_S)


def main() -> None:
    """Serve as `eucentric agent run` does."""
    settings = load_settings(Path(sys.argv[1]))
    configure_logging("agent", settings.logs)
    with (
        service_lifetime("agent", settings.home) as lifetime,
        Agent(settings, lease_duration_s=float(sys.argv[2])) as agent,
    ):
        signal.signal(signal.SIGUSR1, hog)
        lifetime.announce_ready({})
        agent.supervise(lifetime.stopping)


if __name__ == "__main__":
    main()
