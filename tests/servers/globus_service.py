"""The emulated Globus as a fixture, and the settings that lead to it; SIMULATED, see `globus`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from .globus import GlobusEmulator

__all__ = ["globus_emulator", "register_service", "sdk_speaks_to"]


@contextmanager
def sdk_speaks_to(environment: Mapping[str, str]) -> Iterator[None]:
    """Globus-sdk speaks to these addresses, and to what it spoke to before afterwards."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def register_service(emulator: GlobusEmulator, folder: Path) -> dict[str, str]:
    """A new application of the kind that acts for itself, as settings; its secret lies in the folder."""
    client_id, secret = emulator.auth.register_service()
    secret_file = folder / "globus-secret"
    secret_file.touch(mode=0o600)
    secret_file.write_text(secret + "\n")
    return {"client_id": client_id, "app": "service", "secret_file": str(secret_file)}


@pytest.fixture(scope="session")
def globus_emulator() -> Iterator[GlobusEmulator]:
    """Globus, SIMULATED, and globus-sdk told to speak to it."""
    with GlobusEmulator({}) as emulator, sdk_speaks_to(emulator.environment):
        yield emulator
