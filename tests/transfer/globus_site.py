"""A site with Globus, emulated: our collection and the far end's, and accounts for services and people."""

from __future__ import annotations

import json
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eucentric_core import GlobusSettings
from eucentric_transfer import Mover, MoverOptions, open_mover
from eucentric_transfer.globus import GlobusAccount, GlobusMover

from ..servers.globus import Collection, GlobusEmulator
from ..servers.globus_service import register_service
from .far_ends import FarEnd, Fault


class Site(FarEnd):
    """Two collections that are new for a test, and a service that may use them."""

    def __init__(self, emulator: GlobusEmulator, folder: Path) -> None:
        self.emulator = emulator
        self.near, self.far = folder / "near", folder / "far"
        self.near_id, self.far_id = str(uuid.uuid4()), str(uuid.uuid4())
        for name, root in ((self.near_id, self.near), (self.far_id, self.far)):
            (root / "base").mkdir(parents=True)
            emulator.collections[name] = Collection(root)
        service = register_service(emulator, folder)
        self.client_id, self.secret = service["client_id"], Path(service["secret_file"]).read_text().strip()
        self.settings = GlobusSettings.model_validate(
            {
                **service,
                "source_collection": self.near_id,
                "source_root": self.near / "base",
                "source_base": "/base",
                "folder": folder / "globus",
                "deadline_s": 60,
                "poll_min_s": 0.02,
                "poll_max_s": 0.1,
            }
        )
        self._movers: list[Mover] = []

    @property
    def address(self) -> str:
        return f"globus://{self.far_id}/base"

    @property
    def root(self) -> Path:
        """The folder the address means."""
        return self.far / "base"

    def change(self, **settings: Any) -> None:
        """Movers that are opened from now on have other settings."""
        self.settings = GlobusSettings.model_validate({**self.settings.model_dump(), **settings})

    def as_person(self) -> None:
        """From now on a person is logged in, not a service."""
        self.change(client_id=self.emulator.auth.register_native(), app="person", secret_file=None)

    def log_in(self) -> None:
        """Log in as `eucentric globus login` does; the person agrees to everything."""
        with GlobusAccount(self.settings, ask_code=agree) as account:
            account.log_in([self.near_id, self.far_id])

    def open(self, options: MoverOptions | None = None) -> Mover:
        mover = open_mover(self.address, options=replace(options or MoverOptions(), globus=self.settings))
        self._movers.append(mover)
        return mover

    def mover(self) -> GlobusMover:
        mover = self.open()
        assert isinstance(mover, GlobusMover)
        return mover

    def close(self) -> None:
        for mover in self._movers:
            mover.close()

    def files(self) -> Mapping[str, bytes]:
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file()
        }

    def arrived(self, name: str) -> bytes:
        """What lies there under the name of a shard."""
        return (self.root / "incoming" / name).read_bytes()

    def staged(self) -> list[str]:
        """What is left of the copies that were made for transfers."""
        return [
            path.name for path in self.near.rglob("*") if path.is_file() and "globus-staging" in path.parts
        ]

    def transfers(self) -> int:
        """How many transfers of ours Globus knows."""
        return sum(task.owner == self.owner for task in self.emulator.tasks.of_kind("transfer"))

    @property
    def owner(self) -> str:
        return self.client_id if self.settings.app == "service" else self.emulator.auth.person

    def plant(self, name: str, content: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    @contextmanager
    def suffering(self, fault: Fault) -> Iterator[None]:
        collections = self.emulator.collections
        far = collections[self.far_id]
        if fault == "gone":
            del collections[self.far_id]
        else:
            self.emulator.faults.shorten = 1000
        try:
            yield
        finally:
            collections[self.far_id] = far
            self.emulator.mend()


def agree(url: str) -> str:
    """The person opens the page, agrees, and copies the code."""
    with urllib.request.urlopen(url, timeout=60) as page:  # noqa: S310 - the emulator's own address
        code: str = json.load(page)["code"]
    return code


@pytest.fixture
def globus_far_end(globus_emulator: GlobusEmulator, tmp_path: Path) -> Iterator[Site]:
    """An empty far end at Globus, without faults."""
    globus_emulator.mend()
    site = Site(globus_emulator, tmp_path / "globus")
    yield site
    site.close()
    globus_emulator.mend()
