"""The wheel in clean environments: on a control PC it starts an agent, a new user's notebook steers it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from eucentric_core import ManagedProcess, connect
from eucentric_core.transport import find_free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SCRIPTS = "Scripts" if os.name == "nt" else "bin"
INSTALL_TIMEOUT_S = 500


def run(*command: str | Path) -> str:
    """Run a command outside the source tree's reach and return what it printed."""
    outcome = subprocess.run(
        list(command), capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
    )
    assert outcome.returncode == 0, outcome.stdout[-4000:] + outcome.stderr[-4000:]
    return outcome.stdout


@pytest.fixture(scope="session")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from this tree."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, repository)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def control_pc(wheel: Path, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean virtual environment with the wheel and its `[agent]` extra, in constrained versions."""
    folder = tmp_path_factory.mktemp("control_pc")
    return clean_environment(folder, repository / "constraints.txt", f"{wheel}[agent]")


@pytest.fixture(scope="session")
def new_users_pc(wheel: Path, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean virtual environment with an agent and what a notebook needs."""
    folder = tmp_path_factory.mktemp("new_user")
    wanted = (f"{wheel}[agent,notebook]", "ipykernel", "nbclient")
    return clean_environment(folder, repository / "constraints.txt", *wanted)


def clean_environment(environment: Path, constraints: Path, *wanted: str) -> Path:
    """A virtual environment with nothing in it but what is wanted, in constrained versions."""
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    run(
        *(sys.executable, "-m", "pip", "--python", environment / SCRIPTS / "python", "install", "--quiet"),
        *("--only-binary", ":all:", "--constraint", constraints),
        *wanted,
    )
    return environment


def test_the_wheel_holds_every_room_and_nothing_else(wheel: Path, package_folders: list[Path]) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    packages = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert packages == {folder.name for folder in package_folders}
    assert {f"{package}/py.typed" for package in packages} <= set(names)


def test_the_wheel_carries_its_licence(wheel: Path) -> None:
    names = [name.rpartition("/")[2] for name in zipfile.ZipFile(wheel).namelist() if "/licenses/" in name]
    assert sorted(names) == ["LICENSE", "NOTICE"]


def test_a_control_pc_imports_the_agent_from_the_wheel(control_pc: Path) -> None:
    script = "import eucentric_agents; print(eucentric_agents.__file__)"
    where = run(control_pc / SCRIPTS / "python", "-I", "-c", script)
    assert Path(where.strip()).is_relative_to(control_pc)


def test_a_control_pc_carries_no_network_and_no_server(control_pc: Path) -> None:
    listing = run(
        *(sys.executable, "-m", "pip", "--python", control_pc / SCRIPTS / "python"),
        *("list", "--format", "json"),
    )
    installed = {entry["name"].lower() for entry in json.loads(listing)}
    assert "eucentric" in installed
    assert installed & {"torch", "prefect", "mlflow", "parsl", "fastapi", "nicegui", "pandas"} == set()


def test_a_control_pc_has_the_agent_command(control_pc: Path) -> None:
    assert "agent" in run(control_pc / SCRIPTS / "eucentric", "agent", "--help")


def test_a_control_pc_starts_an_agent_and_stops_it_cleanly(control_pc: Path, tmp_path: Path) -> None:
    ports = {"control_port": find_free_port(), "data_port": find_free_port()}
    config = tmp_path / "control-pc.toml"
    config.write_text("[agent]\n" + "".join(f"{key} = {port}\n" for key, port in ports.items()))
    agent = ManagedProcess(
        "agent",
        [
            *(str(control_pc / SCRIPTS / "eucentric"), "agent", "run", "--instrument", "twin"),
            *("--config", str(config), "--home", str(tmp_path / "home")),
        ],
        log=tmp_path / "agent.log",
    )
    try:
        agent.wait_ready((tmp_path / "home" / "run" / "agent.json").exists, timeout_s=60)
        scope = connect("127.0.0.1", ports["control_port"], client="test")
        assert scope.capabilities.simulated
        assert scope.state().beam_blanked
        scope.close()
    finally:
        agent.stop()
    assert not (tmp_path / "home" / "run" / "agent.json").exists()


EXECUTE_NOTEBOOK = """
import sys
import nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""


def readme_command(readme: Path) -> list[str]:
    """The command by which the agents' README starts a simulated microscope."""
    lines = re.findall(r"^(eucentric agent run .*?)\s*(?:#.*)?$", readme.read_text(encoding="utf-8"), re.M)
    (command,) = [line for line in lines if "twin" in line]
    return shlex.split(command)


def test_a_new_user_follows_the_readme_and_steers_the_twin_from_a_notebook(
    new_users_pc: Path, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, scripts = tmp_path / "home", new_users_pc / SCRIPTS
    for name, value in {
        "EUCENTRIC__HOME": str(home),
        "EUCENTRIC__AGENT__CONTROL_PORT": str(find_free_port()),
        "EUCENTRIC__AGENT__DATA_PORT": str(find_free_port()),
        # The kernel is this environment's, whatever is installed for the user.
        "JUPYTER_PATH": str(new_users_pc / "share" / "jupyter"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "MPLCONFIGDIR": str(tmp_path / "matplotlib"),
    }.items():
        monkeypatch.setenv(name, value)
    # The kernel draws into the notebook by itself.
    monkeypatch.delenv("MPLBACKEND", raising=False)
    program, *arguments = readme_command(repository / "agents" / "README.md")
    executed = tmp_path / "executed.ipynb"
    agent = ManagedProcess("agent", [str(scripts / program), *arguments], log=tmp_path / "agent.log")
    try:
        agent.wait_ready((home / "run" / "agent.json").exists, timeout_s=60)
        run(
            scripts / "python",
            "-c",
            EXECUTE_NOTEBOOK,
            repository / "examples" / "steer.ipynb",
            executed,
        )
    finally:
        agent.stop()

    cells = json.loads(executed.read_text(encoding="utf-8"))["cells"]
    shown = json.dumps([output for cell in cells for output in cell.get("outputs", [])])
    for expected in (
        "image/png",
        ">SIMULATED</span>",
        "Steering needs the lease",
        "commanded x 3.00 nm",
        "lease given back",
        "beam blanked: True",
        "steering: nobody",
    ):
        assert expected in shown
    records = (home / "agent" / "audit.jsonl").read_text(encoding="utf-8").splitlines()
    assert any(json.loads(record)["who"] == "first-notebook" for record in records)
    assert os.listdir(home / "run") == []
