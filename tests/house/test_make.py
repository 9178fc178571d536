"""`make` says in one sentence what it lacks, lists what it can do, and the benchmarks report as promised."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest


@pytest.fixture
def fresh_clone(repository: Path, tmp_path: Path) -> Path:
    """What `make` reads, in a folder where nothing was installed yet."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(repository / name, tmp_path)
    return tmp_path


@pytest.fixture
def benchmarks(repository: Path, tmp_path: Path) -> Path:
    """The benchmarks' runner, without any benchmark."""
    for name in ("_harness.py", "run_all.py"):
        shutil.copy(repository / "benchmarks" / name, tmp_path)
    return tmp_path


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in `folder`, also when make itself runs the tests."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def run_all(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the benchmarks in `folder`."""
    command = [sys.executable, str(folder / "run_all.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_make_alone_lists_what_it_can_do(fresh_clone: Path) -> None:
    outcome = make(fresh_clone)
    assert outcome.returncode == 0
    for target in ("demo", "test", "check", "bench", "clean"):
        assert f"make {target}" in outcome.stdout
    assert not (fresh_clone / ".venv").exists()


def test_a_python_that_is_too_old_is_refused_in_one_sentence(fresh_clone: Path) -> None:
    old = fresh_clone / "python-of-old"
    old.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    old.chmod(0o755)
    for interpreter in (str(old), "no-such-python"):
        outcome = make(fresh_clone, "demo", f"PYTHON={interpreter}")
        assert outcome.returncode != 0
        assert "needs Python 3.11 or newer" in outcome.stderr.splitlines()[0]
        assert outcome.stdout == ""
        assert not (fresh_clone / ".venv").exists()


def test_the_benchmarks_report_one_object_and_name_the_one_that_failed(benchmarks: Path) -> None:
    (benchmarks / "bench_good.py").write_text(
        "from _harness import arguments, report\n"
        "options = arguments('good').parse_args()\n"
        "print('something for people')\n"
        "report({'frames_per_s': 31.5}, as_json=options.json, packages=['h5py'])\n",
        encoding="utf-8",
    )
    (benchmarks / "bench_bad.py").write_text("raise SystemExit(3)\n", encoding="utf-8")
    (benchmarks / "bench_mute.py").write_text("print('{}')\n", encoding="utf-8")
    (benchmarks / "_part.py").write_text(
        "raise SystemExit('a part of a benchmark is no benchmark')\n", encoding="utf-8"
    )

    outcome = run_all(benchmarks, "--json")

    whole = json.loads(outcome.stdout.splitlines()[-1])
    assert outcome.returncode == 1
    assert whole["failed"] == ["bad", "mute"]
    assert whole["benchmarks"]["good"]["frames_per_s"] == 31.5
    assert {"cores", "processor", "memory_gib"} <= set(whole["benchmarks"]["good"]["machine"])
    assert {"python", "numpy", "h5py", "eucentric"} <= set(whole["benchmarks"]["good"]["versions"])


def test_asking_for_a_benchmark_that_is_not_there_names_those_that_are(benchmarks: Path) -> None:
    (benchmarks / "bench_twin.py").write_text("", encoding="utf-8")
    outcome = run_all(benchmarks, "--only", "warp")
    assert outcome.returncode == 2
    assert "warp" in outcome.stderr
    assert "twin" in outcome.stderr


def test_pip_is_told_in_a_line_and_a_failure_with_what_pip_said(repository: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    program = [str(tmp_path / "venv" / "bin" / "python"), str(repository / "infra" / "pip_in_a_line.py")]

    def pip(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*program, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    # Nothing is fetched: the package is already there, and the other one is in no index.
    done = pip("install", "--no-index", "pip")
    assert (done.returncode, done.stdout) == (0, "")
    assert re.fullmatch(r" +done in \d+ s\n", done.stderr)
    failed = pip("install", "--no-index", "no-such-package")
    assert failed.returncode == 1
    assert "no-such-package" in failed.stderr
    assert "already satisfied" in (tmp_path / "venv" / "pip.log").read_text()


def test_of_what_pip_says_the_package_and_its_size_are_shown(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(repository / "infra"))
    in_a_line = importlib.import_module("pip_in_a_line").in_a_line
    url = "https://files.example.org/packages/torch-2.9.0-cp311-manylinux.whl"
    assert (
        in_a_line(f"  Downloading {url} (184.5 MB)")
        == "Downloading torch-2.9.0-cp311-manylinux.whl (184.5 MB)"
    )
    assert in_a_line("Collecting numpy>=1.26 (from -c constraints.txt (line 3))") == "Collecting numpy>=1.26"
    assert in_a_line("Installing collected packages: a, b, c") == "Installing 3 packages"
    assert in_a_line("Looking in indexes: https://user:word@index.example.org") is None
