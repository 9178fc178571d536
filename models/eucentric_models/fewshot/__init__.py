"""Few-shot classification: a microscopist points at a few chips of each class, and the whole frame is mapped.

After Akers et al., npj Comput. Mater. 7, 187 (2021) and Doty et al., Comput. Mater. Sci. 203, 111121 (2022);
see docs/few-shot.md. Importing this package imports neither torch nor scikit-image: encoders do so when they
are opened.
"""

from __future__ import annotations

from ._chips import ChipGrid, Chips, GreyScale, content_sha256, cut_chips
from ._class_map import ChipFindings, ClassMap, ClassShare
from ._contrast import equalised
from ._embedding_cache import EmbeddingCache
from ._encoder import ChipEncoder, CombinedEncoder
from ._encoders import DEFAULT_ENCODER, open_encoder
from ._engine import CHIPS, ChipsEngine, ChipsModel, ChipsParameters
from ._few_shot_model import DEFAULT_FALSE_REJECT_RATE, FewShotModel
from ._neighbourhood import DEFAULT_SMOOTHNESS, Neighbourhood
from ._prototypes import (
    NONE_OF_THESE,
    Classification,
    PrototypeClassifier,
    distances_to,
    fit_prototypes,
)
from ._reject_reference import RejectReference
from ._support_check import ChipDoubt, SupportReport, check_support
from ._support_folder import read_support, read_support_images
from ._support_set import SupportChip, SupportSet
from ._typical_distance import TypicalDistances
from .errors import ChipError, EncoderError, FewShotError, SupportSetError

__all__ = [
    "CHIPS",
    "DEFAULT_ENCODER",
    "DEFAULT_FALSE_REJECT_RATE",
    "DEFAULT_SMOOTHNESS",
    "NONE_OF_THESE",
    "ChipDoubt",
    "ChipEncoder",
    "ChipError",
    "ChipFindings",
    "ChipGrid",
    "Chips",
    "ChipsEngine",
    "ChipsModel",
    "ChipsParameters",
    "ClassMap",
    "ClassShare",
    "Classification",
    "CombinedEncoder",
    "EmbeddingCache",
    "EncoderError",
    "FewShotError",
    "FewShotModel",
    "GreyScale",
    "Neighbourhood",
    "PrototypeClassifier",
    "RejectReference",
    "SupportChip",
    "SupportReport",
    "SupportSet",
    "SupportSetError",
    "TypicalDistances",
    "check_support",
    "content_sha256",
    "cut_chips",
    "distances_to",
    "equalised",
    "fit_prototypes",
    "open_encoder",
    "read_support",
    "read_support_images",
]
