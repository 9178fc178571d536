"""What `eucentric hub status` calls wrong: each thing by itself, at its limit and beyond it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from eucentric.hub._report import Expiry, ServiceReport, _problems
from eucentric_core import Settings, load_settings

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
UP = ServiceReport(name="mlflow", state="up", healthy=True)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    server = {
        "min_free_bytes": 1000,
        "backup": {"passphrase_file": str(tmp_path / "word"), "warn_after_h": 26},
    }
    return load_settings(flags={"home": str(tmp_path), "hub": {"server": server}}, environment={})


def problems(settings: Settings, **changes: Any) -> list[str]:
    facts = {"services": (UP,), "free": 1000, "made": NOW - timedelta(hours=26), "expiries": (), **changes}
    return list(_problems(settings, now=NOW, **facts))


def test_nothing_is_wrong_at_the_limits(settings: Settings) -> None:
    certificate = Expiry(what="certificate", until_utc=NOW + timedelta(days=14), warn_days=14)
    assert problems(settings, expiries=(certificate,)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"free": 999}, "of disk are free"),
        ({"made": None}, "there is no backup yet"),
        ({"made": NOW - timedelta(hours=26, minutes=40)}, "the newest backup is 27 h old"),
        (
            {"services": (UP.model_copy(update={"state": "given up", "said": "no room"}),)},
            "given up: no room",
        ),
        ({"services": (UP.model_copy(update={"state": "silent"}),)}, "mlflow is silent"),
        (
            {"expiries": (Expiry(what="releases", until_utc=NOW + timedelta(days=1), warn_days=2),)},
            "expires in 1.0 days",
        ),
        (
            {"expiries": (Expiry(what="releases", until_utc=NOW - timedelta(days=1), warn_days=2),)},
            "has expired",
        ),
    ],
)
def test_each_thing_is_said(settings: Settings, change: dict[str, Any], said: str) -> None:
    (problem,) = problems(settings, **change)
    assert said in problem


def test_archives_without_secrets_are_said(tmp_path: Path) -> None:
    bare = load_settings(
        flags={"home": str(tmp_path), "hub": {"server": {"min_free_bytes": 0}}}, environment={}
    )
    assert problems(bare) == ["backups leave the secrets out: set hub.server.backup.passphrase_file"]
