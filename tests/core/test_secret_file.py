"""Secrets are read from private files alone, and are in no error."""

from __future__ import annotations

from pathlib import Path

import pytest

from eucentric_core import ConfigurationError, Login, read_login, read_secret_file

CANARY = "canary-4711"


def write(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_login_is_read_without_the_end_of_its_line(tmp_path: Path) -> None:
    login = read_login(
        write(tmp_path / "login", f"ada:{CANARY}:x\n".encode()), setting="hub.mlflow_login_file"
    )
    assert login == Login("ada", f"{CANARY}:x")
    assert CANARY not in repr(login)


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        (f"ada:{CANARY}".encode(), 0o640, "open to other users"),
        (f"ada:{CANARY}".encode(), 0o604, "open to other users"),
        (f"ada{CANARY}".encode(), 0o600, "does not hold name:password"),
        (f":{CANARY}".encode(), 0o600, "does not hold name:password"),
        (b"", 0o600, "does not hold one line"),
        (f"ada:{CANARY}\nsecond".encode(), 0o600, "does not hold one line"),
        (f"ada:{CANARY}".encode() + b"\xff", 0o600, "not UTF-8"),
    ],
)
def test_a_file_that_is_no_good_is_refused_without_showing_it(
    tmp_path: Path, content: bytes, mode: int, why: str
) -> None:
    path = write(tmp_path / "login", content, mode)
    with pytest.raises(ConfigurationError, match=why) as refused:
        read_login(path, setting="hub.mlflow_login_file")
    assert CANARY not in str(refused.value.report())
    assert refused.value.__cause__ is None


def test_a_file_that_is_missing_names_its_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_secret_file(tmp_path / "nothing", setting="hub.prefect_login_file")
    assert "hub.prefect_login_file" in refused.value.next_step
