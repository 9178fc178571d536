"""Simulated textures: what few-shot encoders are trained and tested on. SIMULATED, numpy only.

A :class:`Texture` is a field (lattice, fringes, amorphous film, particles, steps, ramp, interface) with a
grey level; :class:`TextureImaging` makes an image of it; :func:`draw_episode` gives the chips of a training
episode.
"""

from __future__ import annotations

from ._episode import KINDS, EpisodeSpec, Texture, draw_episode, random_field, textures_of_image
from ._field import Field
from ._imaging import TextureImaging
from ._lattice import LatticeField
from ._other_fields import (
    AmorphousField,
    FlatField,
    FringeField,
    InterfaceField,
    ParticleField,
    RampField,
    StepField,
)

__all__ = [
    "KINDS",
    "AmorphousField",
    "EpisodeSpec",
    "Field",
    "FlatField",
    "FringeField",
    "InterfaceField",
    "LatticeField",
    "ParticleField",
    "RampField",
    "StepField",
    "Texture",
    "TextureImaging",
    "draw_episode",
    "random_field",
    "textures_of_image",
]
