"""A service is started once the servers that it asks first answer, and not before."""

from __future__ import annotations

from pathlib import Path

import pytest

from eucentric.hub._folder import HubFolder
from eucentric.hub._waiting import wait_for_needed
from eucentric_core import ServiceUnavailableError, Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(flags={"home": str(tmp_path)}, environment={})


def test_it_waits_for_each_server_and_for_none_of_ours(settings: Settings) -> None:
    asked: list[str] = []

    def answers(name: str, _settings: Settings, _folder: HubFolder) -> bool:
        asked.append(name)
        return len(asked) > 4

    wait_for_needed("flows", settings, HubFolder(settings.home), answers=answers)
    assert asked == ["prefect", "mlflow", "prefect", "mlflow", "prefect", "mlflow"]
    wait_for_needed("dashboard", settings, HubFolder(settings.home), answers=answers)
    assert len(asked) == 6


def test_what_is_run_elsewhere_is_not_waited_for(tmp_path: Path) -> None:
    services = {"server": {"services": ["flows"]}}
    settings = load_settings(flags={"home": str(tmp_path), "hub": services}, environment={})
    wait_for_needed("flows", settings, HubFolder(tmp_path), answers=lambda *_: False)


def test_a_server_that_stays_silent_is_named(settings: Settings) -> None:
    folder = HubFolder(settings.home)
    with pytest.raises(ServiceUnavailableError, match="flows waited 0 s for mlflow"):
        wait_for_needed("flows", settings, folder, answers=lambda name, *_: name != "mlflow", patience_s=0)
