"""Images are called as their streams are, where that is a folder's name everywhere; no two alike."""

from __future__ import annotations

import pytest

from eucentric_data_repository.export._image_names import image_names


@pytest.mark.parametrize("stream", ["con", "aux.1", "nul.h5", "lpt9", "bf.", "ome"])
def test_what_is_no_folder_s_name_everywhere_becomes_one(stream: str) -> None:
    ((name,),) = image_names({stream: 1}).values()
    assert name == f"stream-{stream.rstrip('.')}"


def test_numbered_images_do_not_take_the_name_of_a_stream() -> None:
    names = image_names({"haadf": 2, "haadf.0": 1, "bf": 1})
    assert names == {"haadf": ["haadf.0_", "haadf.1"], "haadf.0": ["haadf.0"], "bf": ["bf"]}
