"""The journal where the settings put it."""

from __future__ import annotations

from eucentric_core import Settings

from ._journal import Journal

__all__ = ["open_journal"]


def open_journal(settings: Settings) -> Journal:
    """The journal of this machine's agent, in `<home>/agent/recording`; recovers what a crash left."""
    agent = settings.agent
    return Journal(
        settings.home / "agent" / "recording",
        frames_per_shard=agent.frames_per_shard,
        min_free_bytes=agent.min_free_bytes,
        compression=agent.compression,
        keep_receipted_bytes=agent.keep_receipted_bytes,
        max_quarantine_bytes=agent.max_quarantine_bytes,
    )
