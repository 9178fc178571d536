"""The folder tree shows where each line of code runs, and nothing loose lies on the import path."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def test_every_list_of_rooms_names_the_same_rooms(
    pyproject: dict[str, Any], package_folders: list[Path]
) -> None:
    tools = pyproject["tool"]
    folders = [folder.parent.name for folder in package_folders]
    packages = [folder.name for folder in package_folders]
    assert tools["hatch"]["build"]["dev-mode-dirs"] == folders
    assert tools["ruff"]["src"] == folders
    assert set(folders) <= set(tools["mypy"]["mypy_path"])
    assert set(tools["hatch"]["build"]["targets"]["wheel"]["packages"]) <= set(tools["mypy"]["files"])
    assert tools["importlinter"]["root_packages"] == packages


def test_a_role_folder_is_no_package_itself(package_folders: list[Path]) -> None:
    # An `agents/__init__.py` would shadow the packages below it at run time while mypy stays content.
    assert [folder.parent for folder in package_folders if (folder.parent / "__init__.py").exists()] == []


def test_a_role_folder_holds_one_package_and_no_loose_module(package_folders: list[Path]) -> None:
    # An editable install puts the role folder on sys.path: a loose `agents/queue.py` would be `import queue`.
    for folder in package_folders:
        packages = [path.parent.name for path in folder.parent.glob("*/__init__.py")]
        assert packages == [folder.name]
        assert list(folder.parent.glob("*.py")) == []


def test_every_package_is_typed_and_every_role_has_its_page(package_folders: list[Path]) -> None:
    assert [folder for folder in package_folders if not (folder / "py.typed").is_file()] == []
    assert [folder.parent for folder in package_folders if not (folder.parent / "README.md").is_file()] == []


def test_folders_of_tests_are_packages_so_that_what_one_starts_ends_with_it(repository: Path) -> None:
    tests = repository / "tests"
    # What plays a third party's package is laid out as that party's is.
    someone_elses = {"third_party", "stand_ins", "atomai_like"}
    ours = [path for path in tests.rglob("*.py") if someone_elses.isdisjoint(path.parts)]
    # The top one comes before a package of that name that globus-compute-endpoint installs.
    packages = {path.parent for path in ours if path.name == "__init__.py"}
    assert packages == {path.parent for path in ours}
