"""A hub with a real PostgreSQL: copied while it runs, lost, and put back with its history."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from eucentric.hub._databases import OWNER, connect_owner
from eucentric.hub._folder import HubFolder, open_hub
from eucentric.hub._secrets import read_secret
from eucentric_core import ManagedProcess, load_settings
from eucentric_data_repository import Catalogue, database_of
from eucentric_model_registry import KeyFolder, create_trust
from eucentric_models import DEMO_CONDITIONS

from ..flows.recorded_session import send_session
from ..servers.postgres import find_postgres
from .one_loop import wait_registered

WriteSite = Callable[..., Path]
WAIT_S = 600

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(
        find_postgres() is None, reason="PostgreSQL is not installed (apt-get install postgresql)"
    ),
]


def hub(*words: str, status: int = 0) -> str:
    """Run `eucentric hub`, as a person would; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "eucentric", "hub", *words], capture_output=True, text=True, timeout=WAIT_S
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


@contextmanager
def running(config: Path, home: Path) -> Iterator[ManagedProcess]:
    """`eucentric hub up`, with everything up."""
    command = [sys.executable, "-m", "eucentric", "hub", "up", "--config", str(config)]
    process = ManagedProcess("hub", command, log=home.parent / "up.log")
    try:
        process.wait_ready((home / "run/hub.json").exists, timeout_s=WAIT_S)
        yield process
    finally:
        process.stop(grace_s=60)


def models(folder: HubFolder, settings: Any) -> list[tuple[int, str]]:
    """What stands in MLflow's database, asked of PostgreSQL itself."""
    port, password = settings.hub.server.postgres_port, read_secret(folder, f"postgres-{OWNER}")
    with closing(connect_owner(port, password, "mlflow")) as connection:
        return connection.execute("SELECT number, model FROM versions ORDER BY number").fetchall()


def make_history(folder: HubFolder, settings: Any) -> None:
    """A data set in the catalogue, versions in MLflow's database, releases, a policy, an artefact."""
    repository = settings.repository_path
    send_session(repository, "monday", 8, DEMO_CONDITIONS.drifted, shape=(32, 32))
    wait_registered(settings, 8)
    port, password = settings.hub.server.postgres_port, read_secret(folder, f"postgres-{OWNER}")
    with closing(connect_owner(port, password, "mlflow")) as connection:
        connection.execute("SET ROLE mlflow")
        connection.execute("CREATE TABLE versions (number int PRIMARY KEY, model text NOT NULL)")
        connection.execute("INSERT INTO versions SELECT n, 'atoms' FROM generate_series(1, 1000) n")
    create_trust(KeyFolder.of(settings), settings.releases_path)
    settings.policies_path.mkdir(exist_ok=True)
    (settings.policies_path / "mine.toml").write_text("# ten lines\n")
    artefact = settings.home / "mlflow/artifacts/1/bundle.bin"
    artefact.parent.mkdir(parents=True)
    artefact.write_bytes(os.urandom(1 << 16))


def test_lost_and_put_back_with_its_history(write_site: WriteSite, folder: Path) -> None:
    passphrase = folder / "passphrase"
    passphrase.write_text("correct horse battery staple")
    passphrase.chmod(0o600)
    copies = f'passphrase_file = "{passphrase}"\nfolder = "{folder / "archives"}"\ndata = "all"'
    config = write_site('services = ["postgres", "repository"]', f"[hub.server.backup]\n{copies}")
    home = folder / "home"
    hub("init", "--config", str(config))
    with running(config, home):
        settings, where = open_hub(config)
        make_history(where, settings)
        before = {path.relative_to(home): path.read_bytes() for path in (home / "releases").rglob("*.json")}
        signing = settings.signing_key_path.read_bytes()
        report = json.loads(hub("status", "--config", str(config), "--json", status=1))
        assert [(one["name"], one["state"]) for one in report["services"]] == [
            ("postgres", "up"),
            ("repository", "up"),
        ]
        assert report["problems"] == ["there is no backup yet: `eucentric hub backup`"]
        made = json.loads(hub("backup", "--config", str(config), "--json"))

    archive = Path(made["archive"])
    assert made["secrets"] == "sealed"
    assert canaries_in_the_open(archive, where) == []
    assert "is not empty" in refused("restore", str(archive), "--yes")

    # The machine burns down.
    shutil.rmtree(home)
    plan = hub("restore", str(archive), "--passphrase-file", str(passphrase))
    assert "nothing was written" in plan
    assert not home.exists()
    hub("restore", str(archive), "--passphrase-file", str(passphrase), "--yes")
    settings = load_settings(home / "hub/eucentric.toml")
    with running(config, home):
        assert models(HubFolder(home), settings) == [(number, "atoms") for number in range(1, 1001)]
        with closing(Catalogue(database_of(settings))) as catalogue:
            assert [(one.session, one.frames) for one in catalogue.datasets()] == [("monday", 8)]
        # Nothing is wrong any more: a status of 1 would fail here.
        hub("status", "--config", str(config))
    assert before == {
        path.relative_to(home): path.read_bytes() for path in (home / "releases").rglob("*.json")
    }
    assert settings.signing_key_path.read_bytes() == signing
    assert settings.signing_key_path.stat().st_mode & 0o777 == 0o600
    assert (home / "policies/mine.toml").read_text() == "# ten lines\n"
    assert len(list((home / "repository/shards").rglob("*.h5"))) == 1
    assert len((home / "mlflow/artifacts/1/bundle.bin").read_bytes()) == 1 << 16


def refused(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "eucentric", "hub", *words], capture_output=True, text=True, timeout=WAIT_S
    )
    assert done.returncode == 2, done.stdout + done.stderr
    return done.stderr


def canaries_in_the_open(archive: Path, folder: HubFolder) -> list[str]:
    """Secrets of the hub that can be read in the archive without the passphrase."""
    words = {path.name: path.read_bytes().rpartition(b":")[2].strip() for path in folder.secrets.iterdir()}
    with tarfile.open(archive) as tar:
        streams = [tar.extractfile(info) for info in tar]
        content = b"".join(stream.read() for stream in streams if stream is not None)
    assert b"PRIVATE KEY" not in content
    return [
        name for name, word in words.items() if name not in ("pgpass", "mlflow-auth.ini") and word in content
    ]


def test_without_a_passphrase_secrets_are_left_out_and_it_is_said(
    write_site: WriteSite, folder: Path
) -> None:
    config = write_site(
        'services = ["postgres"]', f'[hub.server.backup]\nkeep = 2\nfolder = "{folder / "archives"}"'
    )
    home = folder / "home"
    hub("init", "--config", str(config))
    with running(config, home):
        old = (home / "hub/secrets/prefect-login").read_text()
        done = subprocess.run(
            [sys.executable, "-m", "eucentric", "hub", "backup", "--config", str(config), "--json"],
            capture_output=True,
            text=True,
            timeout=WAIT_S,
        )
        assert done.returncode == 0, done.stderr
        assert "THE SECRETS ARE NOT IN IT" in done.stderr
        archive = Path(json.loads(done.stdout)["archive"])
    new = folder / "elsewhere"
    assert "MADE ANEW, because the archive holds none" in hub("restore", str(archive), "--home", str(new))
    hub("restore", str(archive), "--home", str(new), "--yes")
    assert (new / "hub/secrets/prefect-login").read_text() != old
    settings = load_settings(new / "hub/eucentric.toml")
    assert settings.home == new
    assert settings.repository.database_password_file == new / "hub/secrets/postgres-catalogue"
    # What was made anew fits: PostgreSQL knows the new passwords.
    with running(new / "hub/eucentric.toml", new):
        password = read_secret(HubFolder(new), f"postgres-{OWNER}")
        connect_owner(settings.hub.server.postgres_port, password, "prefect").close()
