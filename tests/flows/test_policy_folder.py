"""The folder of policies is followed; a file that turns bad changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from eucentric_flows.engine import PolicyFolder
from eucentric_flows.policy import Policy, PolicyError

POLICY = 'schema_version = 2\nname = "{name}"\nmodel = "atoms"\n[trigger]\nkind = "{kind}"\n'


def write(folder: Path, name: str, kind: str = "drift") -> None:
    path = folder / f"{name}.toml"
    path.write_text(POLICY.format(name=name, kind=kind))
    # Two writes within one tick of the file system's clock are told apart all the same.
    facts = path.stat()
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + len(list(folder.iterdir())) * 1_000_000_000))


def test_what_is_added_changed_and_removed_is_taken_over(tmp_path: Path) -> None:
    told: list[tuple[Policy, ...]] = []
    write(tmp_path, "a")
    folder = PolicyFolder(tmp_path, on_change=told.append)
    folder.refresh()
    assert told == []
    write(tmp_path, "b", "dataset")
    folder.refresh()
    assert [policy.name for policy in folder.policies] == ["a", "b"]
    # A plain match is Prefect's.
    assert [policy.name for policy in folder.decided_here] == ["a"]
    (tmp_path / "a.toml").unlink()
    folder.refresh()
    assert [[policy.name for policy in policies] for policies in told] == [["a", "b"], ["b"]]


def test_a_file_that_turns_bad_changes_nothing_until_it_is_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[tuple[Policy, ...]] = []
    write(tmp_path, "a")
    folder = PolicyFolder(tmp_path, on_change=told.append)
    before = folder.policies
    write(tmp_path, "b", "drft")
    folder.refresh()
    assert (folder.policies, told) == (before, [])
    assert "line 5, column 8, trigger.kind: is no known kind; did you mean drift?" in caplog.text
    (tmp_path / "b.toml").unlink()
    write(tmp_path, "c")
    folder.refresh()
    assert [policy.name for policy in folder.policies] == ["a", "c"]


def test_a_bad_file_at_the_start_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "a", "drft")
    with pytest.raises(PolicyError, match="did you mean drift"):
        PolicyFolder(tmp_path, on_change=lambda _: None)
