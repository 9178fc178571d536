"""Bundles, and an edge without a model yet, for every test of what an edge installs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from eucentric_edge import HereOpener, Installer, KeyTrust, ModelSlot

from .bundle_maker import BundleMaker

__all__ = ["bundles", "installer", "slot"]


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> BundleMaker:
    torch.set_num_threads(1)
    return BundleMaker(tmp_path_factory.mktemp("published"))


@pytest.fixture
def slot() -> ModelSlot:
    return ModelSlot()


@pytest.fixture
def installer(tmp_path: Path, bundles: BundleMaker, slot: ModelSlot) -> Installer:
    trust = KeyTrust(bundles.trusted)
    return Installer(tmp_path / "edge", trust, model_name="atoms", slot=slot, opener=HereOpener("cpu"))
