"""The flow service keeps the releases fresh, and says what only a person can do."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

from eucentric_core import Settings, load_settings
from eucentric_flows._renewal import renew, renewing
from eucentric_model_registry import KeyFolder, create_trust
from eucentric_model_registry._metadata_store import Lifetimes, MetadataStore


def site(folder: Path, lifetimes: Lifetimes | None = None) -> Settings:
    settings = load_settings(flags={"home": str(folder)}, environment={})
    create_trust(KeyFolder.of(settings), settings.releases_path, lifetimes=lifetimes)
    return settings


def timestamp_version(settings: Settings) -> int:
    return int(MetadataStore(settings.releases_path / "metadata").state().timestamp.signed.version)


def test_what_is_fresh_is_left_and_what_runs_out_is_signed_anew(tmp_path: Path) -> None:
    fresh = site(tmp_path / "fresh")
    assert renew(fresh) == ()
    assert timestamp_version(fresh) == 1
    stale = site(tmp_path / "stale", Lifetimes(timestamp=timedelta(days=3)))
    assert renew(stale) == ()
    assert timestamp_version(stale) == 2


def test_a_site_without_releases_has_nothing_to_renew(tmp_path: Path) -> None:
    assert renew(load_settings(flags={"home": str(tmp_path)}, environment={})) == ()


def test_a_key_that_is_not_there_is_said_and_ends_nothing(tmp_path: Path) -> None:
    settings = site(tmp_path, Lifetimes(timestamp=timedelta(days=3)))
    KeyFolder.of(settings).online.unlink()
    (said,) = renew(settings)
    assert "wants 1 signature" in said


def test_it_is_renewed_beside_the_service_and_ends_with_it(tmp_path: Path) -> None:
    settings = site(tmp_path, Lifetimes(timestamp=timedelta(days=3)))
    with renewing(settings):
        deadline = time.monotonic() + 60
        while timestamp_version(settings) == 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)
