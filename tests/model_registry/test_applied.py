"""`eucentric models apply` with a registered model: its champion, or the version that is named, verified."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eucentric.cli import main
from eucentric_model_registry import Registry

from .conftest import Publish
from .contents import make_image


def test_the_champion_or_a_named_version_is_fetched_verified_and_applied(
    registry: Registry,
    mlflow_url: str,
    publish: Publish,
    name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for version in (1, 2):
        registry.register(name, publish(version))
    registry.promote(name, 2, reason="better", who="a test")
    keys = tmp_path / "keys.json"
    keys.write_text(registry.trusted.model_dump_json())
    config = tmp_path / "eucentric.toml"
    config.write_text(
        f'home = "{tmp_path / "home"}"\n[hub]\nmlflow_url = "{mlflow_url}"\n[edge]\ntrusted_keys = "{keys}"\n'
    )
    np.save(tmp_path / "scan.npy", make_image(5), allow_pickle=False)

    def apply(model: str) -> tuple[int, str]:
        given = ["--input", str(tmp_path / "scan.npy"), "--output", str(tmp_path / "out")]
        more = ["--uncalibrated", "--config", str(config), "--json"]
        status = main(["models", "apply", "--model", model, *given, *more])
        said = capsys.readouterr()
        return status, said.out + said.err

    for model, version in ((name, 2), (f"{name}@1", 1)):
        status, said = apply(model)
        assert status == 0, said
        facts = json.loads(said)["model"]
        assert (facts["name"], facts["version"], facts["origin"], facts["signed"]) == (
            name,
            version,
            "registered",
            True,
        )
    for model, words in (
        (f"{name}@9", "no version 9"),
        (f"{name}@x", "is no version"),
        ("unknown", "champion"),
    ):
        status, said = apply(model)
        assert status == 2
        assert words in said
