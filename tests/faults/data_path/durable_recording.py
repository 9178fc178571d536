"""Records a session, and notes after which durable write each of its frames was acknowledged."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from eucentric_agents.recording import Journal

from ...frames import build_frame

ACQUISITIONS = 10
FRAMES_PER_SHARD = 3
SHAPE = (160, 128)


def main() -> None:
    """Record into the first argument's folder; the second is where durable writes are noted."""
    folder, notes = Path(sys.argv[1]), Path(sys.argv[2])
    log = notes / "log"
    journal = Journal(folder, frames_per_shard=FRAMES_PER_SHARD, min_free_bytes=0)
    with (notes / "acknowledged").open("w", buffering=1) as acknowledged:
        for sequence in range(ACQUISITIONS):
            journal.append(build_frame(sequence, shape=SHAPE))
            journal.sync()
            acknowledged.write(f"{len(log.read_bytes().splitlines())} {sequence}\n")
    journal.stop_session("twin", "s1", frames=ACQUISITIONS)
    while journal.open_sessions:
        journal.tidy()
        time.sleep(0.01)
    journal.close()


if __name__ == "__main__":
    main()
