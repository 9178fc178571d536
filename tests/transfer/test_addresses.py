"""An address is refused before anything is started that would need it."""

from __future__ import annotations

from pathlib import Path

import pytest

from eucentric_agents import Agent
from eucentric_core import AgentSettings, ConfigurationError, Settings
from eucentric_transfer import check_address

GLOBUS = "globus://6c54cade-bde5-45c1-bdea-f4bd71dba2cc/base"


@pytest.mark.parametrize("address", ["/data", "posix:///data", "s3://bucket/prefix", GLOBUS])
def test_what_can_be_opened_passes(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize(
    "address", ["ftp://nas/data", "posix://nas/data", "s3://Bucket_/x", "globus://collection/base"]
)
def test_what_cannot_be_opened_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError):
        check_address(address)


def test_an_agent_does_not_start_with_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, agent=AgentSettings(ship_to="ftp://nas/data", min_free_bytes=0))
    with pytest.raises(ConfigurationError, match="no mover for 'ftp'"), Agent(settings):
        pass
    assert not (tmp_path / "logs").exists()
