"""Which roles this installation can take."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping

from ._finding import Finding

__all__ = ["PACKAGES_OF_ROLE", "check_roles"]

PACKAGES_OF_ROLE: Mapping[str, tuple[str, ...]] = {
    "agent": ("PIL", "tifffile"),
    "vendor-formats": ("rsciio", "sparse"),
    "usim": ("nion",),
    "temscript": ("temscript",),
    "procedures": ("skimage", "scipy"),
    "s3": ("boto3",),
    "globus": ("globus_sdk",),
    "repository": ("sqlalchemy", "alembic", "fastapi", "uvicorn", "h5grove"),
    "postgres": ("sqlalchemy", "psycopg"),
    "export": ("zarr", "ome_zarr_models", "rocrate", "PIL"),
    "edge": ("torch", "safetensors"),
    "onnx": ("torch", "onnx", "onnxscript", "onnxruntime"),
    "openvino": ("torch", "onnx", "openvino"),
    "structures": ("ase",),
    "multislice": ("ase", "abtem"),
    "few-shot": ("torch", "PIL", "skimage", "scipy"),
    "hpc": ("torch", "safetensors", "parsl"),
    "dkl": ("torch", "parsl", "gpytorch"),
    "globus-compute": ("torch", "parsl", "globus_sdk", "globus_compute_sdk"),
    "hub": ("torch", "parsl", "prefect", "mlflow"),
    "otel": ("opentelemetry.sdk", "opentelemetry.exporter.otlp"),
    "dashboard": ("nicegui", "PIL"),
    "notebook": ("matplotlib", "xarray"),
    "hyperspy": ("hyperspy",),
    "demo": ("PIL", "tifffile", "torch", "parsl", "prefect", "mlflow", "nicegui", "matplotlib", "tomlkit"),
}
"""Extra of the distribution -> what it brings, by import name."""


def check_roles(packages_of_role: Mapping[str, tuple[str, ...]] = PACKAGES_OF_ROLE) -> Iterator[Finding]:
    """One finding per extra: whether everything it brings is there. Nothing is imported."""
    for role, packages in packages_of_role.items():
        missing = [package for package in packages if not _is_there(package)]
        if missing:
            yield Finding(
                name=f"role {role}",
                status="absent",
                detail=f"missing: {', '.join(missing)}",
                fix=f"pip install 'eucentric[{role}]'",
            )
        else:
            yield Finding(name=f"role {role}", status="ok", detail="installed")


def _is_there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        # What it lies in is not there.
        return False
