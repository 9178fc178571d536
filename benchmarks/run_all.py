"""Run every benchmark in a process of its own and print one JSON object last; exit non-zero if any failed."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from _harness import machine, versions

HERE = Path(__file__).resolve().parent
TIMEOUT_S = 900.0
NO_BENCHMARKS = {"gallery", "run_all"}


def main(words: list[str] | None = None) -> int:
    """Run the benchmarks that were asked for, say how each went on the error stream, and report."""
    options = _options(words)
    scripts = [path for path in _scripts() if options.only in path.stem]
    if not scripts:
        print(f"no benchmark's name contains {options.only!r}; there are: {_names()}", file=sys.stderr)
        return 2
    figures: dict[str, Any] = {}
    failed: list[str] = []
    for script in scripts:
        name = script.stem.removeprefix("bench_")
        print(f"==> {name}", file=sys.stderr, flush=True)
        started = time.perf_counter()
        try:
            figures[name] = _run(script, quick=options.quick)
        except (subprocess.SubprocessError, ValueError) as error:
            failed.append(name)
            print(f"    FAILED: {error}", file=sys.stderr, flush=True)
        else:
            _show(figures[name])
        print(f"    {time.perf_counter() - started:.1f} s", file=sys.stderr, flush=True)
    whole = {"benchmarks": figures, "failed": failed, "machine": machine(), "versions": versions()}
    print(json.dumps(whole, allow_nan=False))
    return 1 if failed else 0


def _options(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="accepted, although JSON is always printed last")
    parser.add_argument("--quick", action="store_true", help="measure less: figures are rougher")
    parser.add_argument("--only", default="", metavar="TEXT", help="only benchmarks whose name contains TEXT")
    return parser.parse_args(words)


def _run(script: Path, *, quick: bool) -> dict[str, Any]:
    command = [sys.executable, str(script), "--json", *(["--quick"] if quick else [])]
    outcome = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT_S, check=True)
    lines = outcome.stdout.strip().splitlines()
    if not lines:
        raise ValueError(f"{script.name} printed nothing")
    figures = json.loads(lines[-1])
    missing = {"machine", "versions"} - set(figures)
    if missing:
        raise ValueError(f"{script.name} did not say on what it ran: no {', '.join(sorted(missing))}")
    return dict(figures)


def _show(figures: dict[str, Any]) -> None:
    for key, value in figures.items():
        if key not in {"machine", "versions"}:
            print(f"    {key}: {value}", file=sys.stderr, flush=True)


def _scripts() -> list[Path]:
    # `_name.py` is a part of benchmarks, or what one of them runs in a process of its own.
    return [
        path
        for path in sorted(HERE.glob("*.py"))
        if path.stem not in NO_BENCHMARKS and not path.stem.startswith("_")
    ]


def _names() -> str:
    return ", ".join(path.stem.removeprefix("bench_") for path in _scripts())


if __name__ == "__main__":
    sys.exit(main())
