"""The process that maps: its failures come back as themselves, and a lost one is replaced."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import numpy as np
import psutil
import pytest

from eucentric_core import EucentricError
from eucentric_dashboard.chips import Mapper, MappingError, MapRequest

from ...models.fewshot.scenes import CHIP_PX, FILM, LATTICE, scene

pytestmark = pytest.mark.slow

CHOSEN = {"lattice": [(0, 0), (1, 1)], "film": [(0, 2), (1, 3)]}


@pytest.fixture
def mapper() -> Iterator[Mapper]:
    one = Mapper()
    yield one
    one.close()


def request(**changes: object) -> MapRequest:
    image = scene((LATTICE, FILM), rows=2, columns=2).image
    fields = {"image": image, "pixel_size_m": None, "side_px": CHIP_PX, "offset_px": (0, 0), "chosen": CHOSEN}
    return MapRequest(**{**fields, **changes})  # type: ignore[arg-type] # as the test says


def test_a_lost_process_is_said_so_and_replaced(mapper: Mapper) -> None:
    assert mapper.map_frame(request()).class_id.tolist() == [0, 0, 1, 1] * 2
    # What cannot be mapped is refused by the error of the models, and harms nothing.
    with pytest.raises(EucentricError, match="there is no chip in row 9"):
        mapper.map_frame(request(chosen={**CHOSEN, "film": [(0, 2), (9, 9)]}))
    with pytest.raises(EucentricError, match="constant"):
        mapper.map_frame(request(image=np.ones((128, 256), np.float32)))

    # The newest: what other tests share may have been spawned as well.
    spawned = [one for one in psutil.Process().children() if "spawn_main" in " ".join(one.cmdline())]
    worker = max(spawned, key=psutil.Process.create_time)
    assert worker.nice() > psutil.Process().nice()
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(MappingError, match="was lost"):
        mapper.map_frame(request())
    assert mapper.warm_up()
    assert mapper.map_frame(request()).class_id.tolist() == [0, 0, 1, 1] * 2
