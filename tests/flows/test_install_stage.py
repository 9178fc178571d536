"""An edge is told to look where it goes by releases, and handed the folder where it goes by keys alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from eucentric_core import BundleError, load_settings
from eucentric_core.transport import find_free_port
from eucentric_flows import InstallationError
from eucentric_flows.stages import install

from ..model_registry.edge_door import serving_door


@pytest.mark.parametrize(("goes_by", "asked"), [("releases", "look"), ("keys", "install")])
def test_an_edge_is_told_in_the_way_it_goes_by(tmp_path: Path, goes_by: str, asked: str) -> None:
    said: list[str] = []
    with serving_door(find_free_port()) as door:
        door.goes_by, door.serves_after = goes_by, 3
        settings = load_settings(
            flags={"home": str(tmp_path), "edge": {"control_port": door.port}}, environment={}
        )
        install(settings, tmp_path, 3, said.append)
        assert door.asked == ["status", asked, "status"]
        install(settings, tmp_path, 3, said.append)
        assert door.asked[3:] == ["status", "status"]
        with pytest.raises(InstallationError, match="serves version 3, not version 4"):
            install(settings, tmp_path, 4, said.append)
        door.refuses = "golden chip 0 is 0.4 away"
        with pytest.raises(BundleError, match="golden chip 0"):
            install(settings, tmp_path, 4, said.append)
    assert said == ["the edge serves version 3"] * 2
