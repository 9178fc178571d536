"""Each machine role imports with what its own extra installs, and with nothing that another role brought.

A clean installation per extra would fetch PyTorch five times. Instead a fresh interpreter refuses every
package that belongs to a distribution outside the extra's own dependencies, as a machine of that role would.
`test_wheel.py` makes one real clean installation, the control PC's.
"""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROLES = {
    "": ["eucentric", "eucentric_core", "eucentric_transfer"],
    "agent": ["eucentric", "eucentric_agents"],
    "edge": ["eucentric", "eucentric_edge", "eucentric_models"],
    "hpc": ["eucentric", "eucentric_hpc", "eucentric_models"],
    "hub": ["eucentric", "eucentric_flows", "eucentric_model_registry", "eucentric_data_repository"],
    "dashboard": ["eucentric", "eucentric_dashboard", "eucentric_dashboard.pages"],
    "notebook": ["eucentric"],
}

IMPORT_WITHOUT = """
import importlib, json, sys

refused, modules = json.loads(sys.stdin.read())

class OfThisRole:
    # Not a finder that raises: who asks politely, by importlib.util.find_spec, is told that there is nothing.
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in refused else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [OfThisRole(finder) for finder in sys.meta_path]
for module in modules:
    importlib.import_module(module)
"""


def dependencies(extra: str) -> set[str]:
    """Return the normalised names of everything that `eucentric[extra]` installs, itself included."""
    found: set[tuple[str, str]] = set()
    waiting = [("eucentric", extra), ("eucentric", "")]
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in found:
            continue
        found.add((name, wanted))
        for line in importlib.metadata.requires(name) or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": wanted}):
                needed = canonicalize_name(requirement.name)
                waiting += [(needed, more) for more in ("", *requirement.extras)]
    return {name for name, _ in found}


def packages_outside(allowed: set[str]) -> list[str]:
    """Return the import names that no allowed distribution provides."""
    return sorted(
        package
        for package, distributions in importlib.metadata.packages_distributions().items()
        if not allowed & {canonicalize_name(name) for name in distributions}
        and not package.startswith(("_", "eucentric"))
    )


@pytest.mark.parametrize("extra", ROLES)
def test_a_role_imports_with_its_own_extra_alone(extra: str) -> None:
    refused = packages_outside(dependencies(extra))
    outcome = subprocess.run(
        [sys.executable, "-c", IMPORT_WITHOUT],
        input=json.dumps([refused, ROLES[extra]]),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr


def test_the_refusal_is_real() -> None:
    refused = packages_outside(dependencies("agent"))
    assert {"torch", "prefect", "mlflow", "parsl", "nicegui", "pytest"} <= set(refused)
    assert {"numpy", "zmq", "Pyro5", "tifffile"}.isdisjoint(refused)


@pytest.mark.parametrize("extra", [extra for extra in ROLES if extra])
def test_no_role_depends_on_copyleft_packages(extra: str) -> None:
    assert dependencies(extra) & {"rosettasciio", "nionswift", "nionswift-usim", "hyperspy"} == set()


def test_the_edge_is_not_asked_to_carry_the_hub() -> None:
    assert dependencies("edge") & {"prefect", "mlflow", "parsl", "fastapi", "nicegui"} == set()
