"""`eucentric hub init` writes everything, asks nothing, overwrites nothing silently, and shows no secret."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from eucentric.cli import main
from eucentric_core import load_settings

WriteSite = Callable[..., Path]
RENDERED = {"eucentric.toml", "postgresql.conf", "pg_hba.conf", "nginx.conf"}


def init(config: Path, *options: str) -> int:
    return main(["hub", "init", "--config", str(config), *options])


def test_the_second_time_nothing_changes(
    write_site: WriteSite, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_site()
    assert init(config, "--json") == 0
    first = json.loads(capsys.readouterr().out)
    assert set(first["files"].values()) == {"new"}
    assert set(first["files"]) >= RENDERED
    secrets = {path.name: path.read_bytes() for path in (folder / "home/hub/secrets").iterdir()}
    assert init(config, "--json") == 0
    second = json.loads(capsys.readouterr().out)
    assert set(second["files"].values()) == {"same"}
    assert second["secrets_made"] == []
    assert secrets == {path.name: path.read_bytes() for path in (folder / "home/hub/secrets").iterdir()}


def test_a_dry_run_writes_nothing(write_site: WriteSite, folder: Path) -> None:
    assert init(write_site(), "--dry-run") == 0
    assert not (folder / "home").exists()


def test_what_was_edited_by_hand_is_refused_and_then_kept(
    write_site: WriteSite, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_site()
    assert init(config) == 0
    edited = folder / "home/hub/nginx.conf"
    edited.write_text("# mine\n")
    before = (folder / "home/hub/eucentric.toml").read_bytes()
    config.write_text(config.read_text().replace("min_free_bytes = 0", "min_free_bytes = 1"))
    capsys.readouterr()
    assert init(config) == 2
    said = capsys.readouterr().err
    assert "nginx.conf (edited)" in said
    assert "eucentric.toml (outdated)" in said
    assert (folder / "home/hub/eucentric.toml").read_bytes() == before
    assert edited.read_text() == "# mine\n"
    assert init(config, "--replace", "--json") == 0
    kept = json.loads(capsys.readouterr().out)["kept"]
    assert [Path(path).read_text() for path in kept] == ["# mine\n"]
    assert load_settings(folder / "home/hub/eucentric.toml").hub.server.min_free_bytes == 1


def test_a_file_that_contradicts_the_hub_is_refused(
    write_site: WriteSite, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_site(hub='mlflow_database = "postgresql+psycopg://me@db.example.org/mine"')
    assert init(config) == 2
    assert "take hub.mlflow_database out" in capsys.readouterr().err
    assert not (folder / "home").exists()


def test_secrets_are_in_private_files_and_nowhere_else(
    write_site: WriteSite, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(write_site()) == 0
    said = capsys.readouterr()
    root = folder / "home/hub"
    assert stat.S_IMODE((root / "secrets").stat().st_mode) == 0o700
    words = set()
    for path in (root / "secrets").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        if path.name not in ("pgpass", "mlflow-auth.ini"):
            words.add(path.read_text().rpartition(":")[2].strip())
    assert len(words) == 7
    elsewhere = [path for path in root.rglob("*") if path.is_file() and path.parent.name != "secrets"]
    text = "".join(path.read_text() for path in elsewhere) + said.out + said.err
    assert [word for word in words if word in text] == []


def test_units_are_what_systemd_takes_and_hardened(write_site: WriteSite, folder: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    assert init(write_site()) == 0
    units = sorted((folder / "home/hub/systemd").iterdir())
    assert len(units) == 10
    verified = subprocess.run(
        [analyze, "verify", *map(str, units)], capture_output=True, text=True, timeout=60
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    for unit in units:
        if unit.suffix != ".service":
            continue
        # 0 is closed, 10 is open to everything; the threshold is of `systemd-analyze security`, in tenths.
        command = [analyze, "security", "--offline=true", "--threshold=25", str(unit)]
        exposed = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert exposed.returncode == 0, exposed.stdout[-500:]


@pytest.mark.parametrize("line", ["NoNewPrivileges=true", "ProtectSystem=strict", "MemoryMax=512M"])
def test_every_service_has_its_limits(write_site: WriteSite, folder: Path, line: str) -> None:
    assert init(write_site("memory_max_mib = 512")) == 0
    services = sorted((folder / "home/hub/systemd").glob("*.service"))
    assert services
    assert [path.name for path in services if line not in path.read_text().splitlines()] == []
    lasting = [path for path in services if "backup" not in path.name]
    assert [path.name for path in lasting if "Restart=on-failure" not in path.read_text()] == []


def test_nginx_takes_its_file(write_site: WriteSite, folder: Path) -> None:
    nginx = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if nginx is None:
        pytest.skip("nginx is not installed")
    config = write_site()
    assert init(config) == 0
    authority, home = folder / "authority", folder / "home"
    assert main(["certs", "init", "--folder", str(authority)]) == 0
    issue = ["certs", "issue", "hub", "--folder", str(authority), "--server", "--host", "localhost"]
    assert main(issue) == 0
    (home / "tls").mkdir()
    (authority / "issued/hub").rename(home / "tls/hub")
    (home / "run/nginx").mkdir(parents=True)
    command = [nginx, "-t", "-q", "-p", str(home / "run/nginx"), "-c", str(home / "hub/nginx.conf")]
    tested = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (tested.returncode, tested.stderr) == (0, "")


def test_without_a_hub_every_command_says_what_to_do(
    write_site: WriteSite, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_site()
    for command in ("up", "status", "backup"):
        assert main(["hub", command, "--config", str(config)]) == 2
        assert "eucentric hub init" in capsys.readouterr().err
