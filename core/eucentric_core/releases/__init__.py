"""Which version of a model is released: signed metadata (TUF) that no copy, relay or clock can bend.

What verifies is here, on every machine; what signs is in the model registry. Importing this package is cheap;
python-tuf is imported when something is verified.
"""

from __future__ import annotations

from ._http import HttpSource
from ._release import Release, bundle_folder, challenger_target, release_target
from ._source import ReleaseSource
from ._trust import MAX_METADATA_BYTES, ReleaseTrust
from ._verified import verify_released_bundle
from ._view import ReleaseView

__all__ = [
    "MAX_METADATA_BYTES",
    "HttpSource",
    "Release",
    "ReleaseSource",
    "ReleaseTrust",
    "ReleaseView",
    "bundle_folder",
    "challenger_target",
    "release_target",
    "verify_released_bundle",
]
