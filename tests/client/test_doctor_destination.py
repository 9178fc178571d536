"""The doctor writes, hashes and removes a small file where shards go, and says what is wrong there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from eucentric.doctor._destination import check_destination
from eucentric_agents.recording import open_journal
from eucentric_core import AgentSettings, Frame, S3Settings, Settings

from ..servers.http_relay import Answer, Relay
from ..servers.s3_store import write_credentials


def settings_for(ship_to: str | None, s3: S3Settings | None = None) -> Settings:
    return Settings(agent=AgentSettings(name="titan", ship_to=ship_to), s3=s3 or S3Settings())


def test_a_folder_that_takes_files_is_well_and_empty_afterwards(tmp_path: Path) -> None:
    finding = check_destination(settings_for(str(tmp_path)))
    assert finding.status == "ok"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_folder_that_is_not_mounted_fails_with_what_to_do(tmp_path: Path) -> None:
    finding = check_destination(settings_for(str(tmp_path / "share")))
    assert finding.status == "fail"
    assert "mounted" in finding.fix
    assert check_destination(settings_for(None)).status == "absent"


def test_a_store_is_asked_with_the_key_of_the_settings(
    s3_relay: Relay, bucket: str, s3_credentials: Path, s3_client: Any, tmp_path: Path
) -> None:
    right = S3Settings(endpoint=s3_relay.url, credentials=s3_credentials)
    assert check_destination(settings_for(f"s3://{bucket}/lab", right)).status == "ok"
    assert "Contents" not in s3_client.list_objects_v2(Bucket=bucket)
    wrong = right.model_copy(update={"credentials": write_credentials(tmp_path / "key", secret="other")})  # noqa: S106 - a wrong one
    finding = check_destination(settings_for(f"s3://{bucket}/lab", wrong))
    assert (finding.status, "key" in finding.detail) == ("fail", True)


def test_a_key_that_may_not_remove_is_good_enough(
    s3_relay: Relay, bucket: str, s3_credentials: Path, s3_client: Any
) -> None:
    s3_relay.answer = lambda method, path: (
        Answer(403, b"<Error><Code>AccessDenied</Code></Error>") if method == "DELETE" else None
    )
    store = S3Settings(endpoint=s3_relay.url, credentials=s3_credentials)
    for _ in range(2):
        assert check_destination(settings_for(f"s3://{bucket}/lab", store)).status == "warn"
    (left,) = s3_client.list_objects_v2(Bucket=bucket)["Contents"]
    assert left["Key"] == "lab/incoming/probe-titan.bin"


def test_the_folder_of_shards_is_what_is_tried(tmp_path: Path) -> None:
    (tmp_path / "incoming").write_text("a file in the way")
    assert check_destination(settings_for(str(tmp_path))).status == "fail"


def test_shards_that_do_not_get_through_are_counted(tmp_path: Path, make_frame: Callable[..., Frame]) -> None:
    store = tmp_path / "store"
    store.mkdir()
    settings = settings_for(str(store)).model_copy(update={"home": tmp_path / "home"})
    with closing(open_journal(settings)) as journal:
        for session in ("s1", "s2"):
            journal.append(make_frame(0, session=session))
            journal.stop_session("twin", session, frames=1)
        one, other = (entry.name for entry in journal.ledger.outbox("pending") if entry.kind == "shard")
        journal.ledger.move(one, "delivered")
        journal.ledger.move(other, "stuck")
    finding = check_destination(settings)
    assert finding.status == "warn"
    assert finding.detail.endswith("1 shards are stuck, 1 shards wait for a receipt")
    assert "agent shipping" in finding.fix
