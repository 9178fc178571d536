"""What lets AtomAI start where torchvision does not; for interpreters that have AtomAI and not Eucentric."""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
import types

__all__ = ["stand_in_for_torchvision"]


def stand_in_for_torchvision() -> None:
    """AtomAI imports torchvision for backbones that its own networks have not; some wheels do not load."""
    try:
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError, OSError):
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        names = {
            "torchvision": (),
            "torchvision.models": ("mobilenet_v2", "resnet50", "vgg16"),
            "torchvision.utils": ("make_grid",),
        }
        for name, contents in names.items():
            module = types.ModuleType(name)
            module.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
            for content in contents:
                setattr(module, content, None)
            sys.modules[name] = module
        for child in ("models", "utils"):
            setattr(sys.modules["torchvision"], child, sys.modules[f"torchvision.{child}"])
