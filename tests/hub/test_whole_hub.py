"""A whole hub with PostgreSQL and S3: a loop, a backup, a fire, a restore, and the next loop counts on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from eucentric.cli import main
from eucentric_core import Settings, TrustedKeys, load_settings
from eucentric_core.transport import PyroControlClient
from eucentric_data_repository import Catalogue, database_of
from eucentric_flows import (
    RunRecord,
    RunView,
    prefect_environment,
    runs_path,
)
from eucentric_flows.globus_flow._carry_out import CONFIG_VARIABLE
from eucentric_model_registry import KeyFolder, Registry, create_trust

from ..servers.otlp_collector import Collector, running_collector
from ..servers.webhook import Webhook, running_webhook
from .one_loop import WAIT_S, edge_of, first_model, record_session, run_of, write_policy
from .test_backup_and_restore import hub, running

TELL = """
schema_version = 2
name = "tell-people"
model = "atoms"
[trigger]
kind = "drift"
[guards]
cooldown_s = 0
[action]
kind = "notify"
blocks = ["custom-webhook/lab"]
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(5400), pytest.mark.usefixtures("nightly")]


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Where every process of the test sends its spans."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    with running_collector() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        yield running


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with running_webhook() as running:
        yield running


def save_block(settings: Settings, url: str) -> None:
    """As somebody does on Prefect's page: a block with an address, which Prefect keeps encrypted."""
    environment = prefect_environment(settings)
    with temporary_settings(
        {
            PREFECT_API_URL: environment["PREFECT_API_URL"],
            PREFECT_API_AUTH_STRING: environment["PREFECT_API_AUTH_STRING"],
        }
    ):
        CustomWebhookNotificationBlock(
            name="lab", url=url, json_data={"subject": "{{subject}}", "body": "{{body}}"}
        ).save("lab")


def wait_told(webhook: Webhook, count: int) -> None:
    deadline = time.monotonic() + WAIT_S
    while len(webhook.told) < count:
        assert time.monotonic() < deadline, webhook.told
        time.sleep(0.2)
    assert len(webhook.told) == count


def seen_as_one(collector: Collector, run: RunView) -> None:
    """Spans of flow, worker and edge, each from a process of its own, make one trace of the run."""
    deadline = time.monotonic() + WAIT_S
    wanted = {run.kind, "train", "task", "promote", "edge.install"}
    while missing := wanted - {span.name.partition(" ")[0] for span in collector.of(run.trace_id)}:
        assert time.monotonic() < deadline, missing
        time.sleep(0.2)
    spans = collector.of(run.trace_id)
    (first,) = [span for span in spans if not span.parent_id]
    assert first.name == run.kind
    assert {span.parent_id for span in spans if span is not first} <= {span.span_id for span in spans}


def versions(settings: Settings) -> list[int]:
    registry = Registry(
        settings.hub.mlflow_url,
        TrustedKeys.read(settings.trusted_keys_path),
        login_file=settings.hub.mlflow_login_file,
    )
    return [version.version for version in registry.versions("atoms")]


def test_the_loop_goes_on_with_its_history(
    write_site: Callable[..., Path],
    folder: Path,
    bucket: str,
    s3_client: Any,
    s3_credentials: Path,
    swift: Any,
    collector: Collector,
    webhook: Webhook,
) -> None:
    home, passphrase = folder / "home", folder / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text("correct horse battery staple")
    config = write_site(
        "",
        f'[hub.server.backup]\npassphrase_file = "{passphrase}"\nfolder = "{folder / "archives"}"\n'
        f'data = "all"\n[s3]\nendpoint = "{swift.url}"\ncredentials = "{s3_credentials}"\n'
        '[hpc]\nexecutor = "processes"\nworkers = 2\n',
        hub=f'mlflow_artifacts = "s3://{bucket}/models"',
    )
    hub("init", "--config", str(config))
    authority = folder / "authority"
    assert main(["certs", "init", "--folder", str(authority)]) == 0
    issue = ["certs", "issue", "hub", "--folder", str(authority), "--server", "--host", "localhost"]
    assert main(issue) == 0
    (home / "tls").mkdir()
    (authority / "issued/hub").rename(home / "tls/hub")
    settings = load_settings(home / "hub/eucentric.toml")
    write_policy(settings)
    (settings.policies_path / "tell-people.toml").write_text(TELL)
    create_trust(KeyFolder.of(settings), settings.releases_path)

    with edge_of(settings, folder):
        with running(config, home):
            record_session(settings)
            first_model(settings, folder)
            save_block(settings, webhook.url)
            first = run_of(settings, "edge-1")
            assert (first.state, first.version) == ("promoted", 2), first.reason
            wait_told(webhook, 1)
            assert versions(settings) == [2, 1]
            made = json.loads(hub("backup", "--config", str(config), "--json"))

        # The machine and the bucket are lost. The edge serves on.
        shutil.rmtree(home)
        for entry in s3_client.list_objects_v2(Bucket=bucket)["Contents"]:
            s3_client.delete_object(Bucket=bucket, Key=entry["Key"])
        hub("restore", made["archive"], "--passphrase-file", str(passphrase), "--yes")
        # As after new packages: a copy first, then the databases' own migrations, with nothing running.
        assert "the databases fit the installed packages" in hub("upgrade", "--config", str(config))
        assert len(list((folder / "archives").glob("*.tar"))) == 2

        with running(config, home):
            assert versions(settings) == [2, 1]
            with RunRecord(runs_path(settings)) as record:
                kept = record.known(first.trigger_id)
            assert kept is not None
            assert (kept.state, kept.version) == ("promoted", 2)
            with closing(Catalogue(database_of(settings))) as catalogue:
                assert [one.session for one in catalogue.datasets()] == ["drifted"]
            second = run_of(settings, "edge-1-again")
            assert (second.state, second.version) == ("promoted", 3), second.reason
            seen_as_one(collector, second)
            # By the block of before the fire, through the login of before: nobody set anything up again.
            wait_told(webhook, 2)
            assert versions(settings) == [3, 2, 1]
            hub("status", "--config", str(config))
            # What Globus Flows calls at the hub's Compute endpoint: one rollback, however often it asks.
            for _ in range(2):
                assert by_globus(home)["version"] == 2
            # Believed by an edge that was never told of the fire: the releases that were restored go on.
            status = edge_status(settings)
            assert status["model_version"] == 2


def by_globus(home: Path) -> dict[str, Any]:
    """Roll back through the function that an exported flow calls."""
    code = (
        "import json; from eucentric_flows.globus_flow import carry_out; "
        "print(json.dumps(carry_out('rollback', 'run-of-globus', {'model': 'atoms'}, timeout_s=1000)))"
    )
    environment = {**os.environ, CONFIG_VARIABLE: str(home / "hub/eucentric.toml")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=WAIT_S, env=environment
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert said["released"] is True
    return said


def edge_status(settings: Settings) -> dict[str, Any]:
    client = PyroControlClient(settings.edge.host, settings.edge.control_port, timeout_s=30)
    try:
        return client.call("status", {})
    finally:
        client.close()
