"""What stands behind the working pages: shared readings, thumbnails, searches, and rooms that are missing."""

from __future__ import annotations

import importlib.util
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from eucentric_agents.data import ShippingReport, duration
from eucentric_core import ConfigurationError, ServiceUnavailableError, Settings, load_settings
from eucentric_dashboard._shared_reading import SharedReading
from eucentric_dashboard.pages.data._query import query_of
from eucentric_dashboard.pages.data._source import DataSource
from eucentric_dashboard.pages.data._transfers_card import transfer_facts
from eucentric_dashboard.widgets import ago, missing_extra, require_extra
from eucentric_data_repository import open_catalogue
from eucentric_models import DEMO_CONDITIONS

from ...flows.recorded_session import register_session
from ..stand_in import eventually


def away() -> ServiceUnavailableError:
    return ServiceUnavailableError("It is away.", safe="nothing was changed.", next_step="wait.")


def test_looking_never_waits_and_asks_once_however_many_look() -> None:
    asked, answer = [], threading.Event()

    def read() -> int:
        asked.append(1)
        assert answer.wait(20)
        return len(asked)

    reading = SharedReading(read, fresh_s=3600)

    assert [reading.look().value for _ in range(5)] == [None] * 5
    answer.set()
    assert eventually(lambda: reading.look().value == 1)
    assert len(asked) == 1


def test_what_is_forgotten_while_it_is_read_is_read_once_more() -> None:
    asked, begun, answer = [], threading.Event(), threading.Event()

    def read() -> int:
        asked.append(1)
        begun.set()
        assert answer.wait(20)
        return len(asked)

    reading = SharedReading(read, fresh_s=3600)
    reading.look()
    assert begun.wait(20)
    reading.forget()
    answer.set()

    assert eventually(lambda: reading.look().value == 2)


def test_a_failure_keeps_the_last_answer_with_its_age_and_since_when_it_fails() -> None:
    answers: list[int | ServiceUnavailableError] = [1, away(), away(), 4]

    def read() -> int:
        answer = answers.pop(0)
        if isinstance(answer, ServiceUnavailableError):
            raise answer
        return answer

    reading = SharedReading(read, fresh_s=3600)
    reading.look()
    assert eventually(lambda: reading.look().value == 1)
    reading.forget()
    assert eventually(lambda: reading.look().error is not None)
    first = reading.look()
    assert (first.value, first.online) == (1, False)
    reading.forget()
    assert eventually(lambda: len(answers) == 1 and reading.look() is not first)
    assert reading.look().failing_since_s == first.failing_since_s
    reading.forget()
    assert eventually(lambda: reading.look().value == 4 and reading.look().online)


def test_ages_are_said_in_the_unit_that_fits() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert ago(noon, now_utc=noon.replace(minute=3)) == "3 min ago"
    assert ago(noon, now_utc=noon.replace(day=9)) == "8 d ago"


def test_a_room_that_is_not_installed_is_told_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = importlib.util.find_spec
    assert missing_extra("hub") is None
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mlflow" else there(name))

    with pytest.raises(ConfigurationError, match=r"Models cannot be shown.*mlflow") as told:
        require_extra("hub", "Models")

    assert "pip install 'eucentric[hub]'" in told.value.next_step


@pytest.fixture
def recorded(tmp_path: Path) -> Settings:
    settings = load_settings(flags={"home": str(tmp_path / "home")}, environment={})
    register_session(settings.repository_path, "s1", 2, DEMO_CONDITIONS.drifted, shape=(300, 200))
    return settings


def test_a_thumbnail_is_made_in_the_background_and_kept(recorded: Settings) -> None:
    source = DataSource(recorded)

    assert source.thumbnails.find("microscope-1.s1") is None
    assert eventually(lambda: source.thumbnails.find("microscope-1.s1") is not None)

    with Image.open(source.thumbnails.path("microscope-1.s1")) as picture:
        assert (picture.format, picture.size) == ("JPEG", (128, 192))
    assert DataSource(recorded).thumbnails.find("microscope-1.s1") is not None, "of the next start as well"


def test_a_damaged_file_has_no_thumbnail_and_says_why(recorded: Settings) -> None:
    source = DataSource(recorded)
    with open_catalogue(recorded) as catalogue:
        (shard,) = catalogue.shards(dataset_id="microscope-1.s1")
    shard.path.chmod(0o600)
    shard.path.write_bytes(b"no HDF5")

    source.thumbnails.find("microscope-1.s1")

    assert eventually(lambda: source.thumbnails.why_without("microscope-1.s1") is not None)
    assert source.thumbnails.find("microscope-1.s1") is None


def test_a_name_with_slashes_stays_within_the_folder_of_thumbnails(recorded: Settings) -> None:
    thumbnails = DataSource(recorded).thumbnails
    assert thumbnails.path("../../etc/passwd").parent == thumbnails.path("x").parent


def test_what_was_typed_is_searched_and_days_are_whole() -> None:
    typed = {
        "text": " drift ",
        "tags": "a, b,",
        "since": "2026-03-01",
        "until": "2026-03-02",
        "kind": "measured",
    }

    query = query_of({**typed, "sample": None, "order": "name"}, limit=24)

    assert (query.text, query.tags, query.simulated, query.sample) == ("drift", ("a", "b"), False, None)
    assert query.until is not None
    assert query.since is not None
    assert (query.until - query.since).days == 2


def test_what_cannot_be_searched_is_told() -> None:
    with pytest.raises(ConfigurationError, match="'yesterday' is no day"):
        query_of({"since": "yesterday"}, limit=24)
    with pytest.raises(ConfigurationError, match="text"):
        query_of({"text": "a" * 300}, limit=24)


def test_transfers_tell_backlog_rate_end_and_what_waits_for_its_hash() -> None:
    report = ShippingReport.model_validate(
        {
            "ship_to": "/mnt/nas",
            "open_bytes": 3_000_000,
            "shipper": {
                "state": "shipping", "pending_shards": 4, "pending_bytes": 8_000_000, "awaiting_receipt": 2,
                "confirmed": 9, "stuck": 0, "failures": 0, "rate_bytes_per_s": 2e6, "eta_s": 240.0,
            },
        }
    )  # fmt: skip

    told = dict(transfer_facts(report))

    assert told["backlog"] == "4 shards, 8.0 MB"
    assert told["rate"] == "2.0 MB/s"
    assert told["all sent in about"] == duration(240.0)
    assert (told["sent, hash not confirmed yet"], told["hash confirmed by the repository"]) == ("2", "9")
    kept = ShippingReport(ship_to=None, shipper=None, kept=3)
    assert dict(transfer_facts(kept))["kept here"].startswith("3 shards")
