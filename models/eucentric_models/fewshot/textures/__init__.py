"""Simulated textures: what few-shot encoders are trained and tested on. SIMULATED.

A :class:`Texture` is a field (lattice, fringes, amorphous film, particles, steps, ramp, interface) with a
grey level; :class:`TextureImaging` makes an image of it; :func:`draw_episode` gives the chips of a training
episode, :func:`draw_specimen` a whole image of several textures that change from place to place,
:func:`draw_surface` one of films that fade into what covers them.
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
from ._specimen import Change, Specimen, draw_specimen
from ._surface import draw_surface

__all__ = [
    "KINDS",
    "AmorphousField",
    "Change",
    "EpisodeSpec",
    "Field",
    "FlatField",
    "FringeField",
    "InterfaceField",
    "LatticeField",
    "ParticleField",
    "RampField",
    "Specimen",
    "StepField",
    "Texture",
    "TextureImaging",
    "draw_episode",
    "draw_specimen",
    "draw_surface",
    "random_field",
    "textures_of_image",
]
