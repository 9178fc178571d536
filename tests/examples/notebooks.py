"""Running a notebook as a reader would, in a folder of its own, with smaller numbers where it lets one."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbclient
import nbformat

__all__ = ["Executed", "execute", "with_parameters"]

CELL_TIMEOUT_S = 300


class Executed:
    """A notebook after its run.

    Args:
        notebook: with outputs.
    """

    def __init__(self, notebook: nbformat.NotebookNode) -> None:
        self.cells = [cell for cell in notebook.cells if cell.cell_type == "code"]

    @property
    def outputs(self) -> list[nbformat.NotebookNode]:
        """All outputs in their order."""
        return [output for cell in self.cells for output in cell.outputs]

    @property
    def text(self) -> str:
        """Everything that a reader can read: printed lines, plain text and HTML."""
        found = []
        for output in self.outputs:
            found.append(output.get("text", ""))
            found += [value for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
        return "\n".join(found)

    @property
    def pictures(self) -> int:
        """How many pictures it shows, those inside of HTML too."""
        drawn = sum("image/png" in output.get("data", {}) for output in self.outputs)
        return drawn + self.text.count("data:image/png;base64,")


def with_parameters(source: str, values: Mapping[str, Any]) -> str:
    """The source of a cell of parameters with other values.

    Raises:
        KeyError: the cell sets no such parameter.
    """
    left = dict(values)

    def changed(line: str) -> str:
        match ast.parse(line).body:
            case [ast.Assign(targets=[ast.Name(id=name)])] if name in left:
                return f"{name} = {left.pop(name)!r}"
        return line

    lines = [changed(line) for line in source.splitlines()]
    if left:
        raise KeyError(*left)
    return "\n".join(lines)


def execute(path: Path, folder: Path, parameters: Mapping[str, Any]) -> Executed:
    """Run every cell; an error in one of them is raised."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    if parameters:
        (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
        cell.source = with_parameters(cell.source, parameters)
    client = nbclient.NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_S,
        startup_timeout=180,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    return Executed(notebook)
