"""A real Slurm for tests: munged, slurmctld and virtual nodes; no systemd, cgroups or accounting database."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from eucentric_core.transport import find_free_port

__all__ = ["Slurm", "running_slurm"]

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo")
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 20.0
_COMMAND_TIMEOUT_S = 60.0
# The credential of a job that is queued again must have expired before it may start: 121 s by default.
_CREDENTIAL_S = 5
_CONFIGURATION = """
ClusterName=eucentric
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={base}/munge/munge.socket,cred_expire={credential_s}
CredType=cred/munge
StateSaveLocation={base}/ctld
SlurmdSpoolDir={base}/slurmd.%n
SlurmctldPidFile={base}/slurmctld.pid
SlurmdPidFile={base}/slurmd.%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=5,bf_interval=5,batch_sched_delay=0,sched_min_interval=50000
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=30
MinJobAge=300
SlurmctldTimeout=30
SlurmdTimeout=60
PropagateResourceLimits=NONE
{nodes}
PartitionName=batch Nodes=ALL Default=YES MaxTime=1:00:00 DefaultTime=10:00 PriorityTier=1 State=UP
PartitionName=urgent Nodes=ALL MaxTime=1:00:00 DefaultTime=10:00 PriorityTier=10 PreemptMode=OFF State=UP
"""


class Slurm:
    """A running cluster; `environment` is what its commands need.

    Two partitions: `batch`, and `urgent`, whose jobs push those of `batch` back into the queue.
    """

    def __init__(self, base: Path, ports: Mapping[str, int]) -> None:
        self.base = base
        self.nodes = tuple(ports)
        self.environment = {"SLURM_CONF": str(base / "slurm.conf")}
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._write_configuration(ports)

    def command(self, *words: str) -> str:
        """What a command of Slurm says; fails the test where it fails."""
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT_S,
            env={**os.environ, **self.environment, "PATH": _path()},
        )
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return done.stdout.strip()

    def jobs(self) -> dict[str, str]:
        """State of every job that is not over, by its id."""
        lines = self.command("squeue", "--noheader", "--format=%i %T").splitlines()
        return dict(line.split() for line in lines)

    def node_of(self, job: str) -> str:
        """The node that a job runs on; empty while it waits."""
        return self.command("squeue", "--noheader", "--format=%N", f"--jobs={job}")

    def processes_of(self, node: str) -> list[psutil.Process]:
        """Whatever runs as part of a job on a node."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                environment = process.environ()
                if (environment.get("SLURMD_NODENAME"), environment.get("SLURM_CONF")) == (
                    node,
                    self.environment["SLURM_CONF"],
                ):
                    found.append(process)
        return found

    def cut_power(self, node: str) -> None:
        """A node fails: its daemon and its jobs are gone from one moment to the next, and Slurm notices."""
        self._daemons[node].kill()
        self._daemons[node].wait()
        self._kill_jobs_of(node)
        self.command("scontrol", "update", f"nodename={node}", "state=down", "reason=power")

    def restore_power(self, node: str) -> None:
        """The node comes back."""
        self.start_node(node)
        self.command("scontrol", "update", f"nodename={node}", "state=resume")
        self._wait(lambda: node in self._idle_or_busy(), f"node {node} does not come back")

    def start(self) -> None:
        """Start every daemon and wait until the nodes are idle."""
        munge = self.base / "munge"
        self._launch(
            "munged",
            *("munged", "--foreground", "--force", "--num-threads=2"),
            *(f"--key-file={munge / 'munge.key'}", f"--socket={munge / 'munge.socket'}"),
            *(f"--pid-file={munge / 'munged.pid'}", f"--seed-file={munge / 'munged.seed'}"),
        )
        self._wait((munge / "munge.socket").exists, "munged does not answer")
        self._launch("slurmctld", "slurmctld", "-D", "-f", self.environment["SLURM_CONF"])
        for node in self.nodes:
            self.start_node(node)
        self._wait(lambda: self._idle_or_busy() >= set(self.nodes), "the nodes do not come up")

    def start_node(self, node: str) -> None:
        """Start a node's daemon."""
        self._launch(node, "slurmd", "-D", "-f", self.environment["SLURM_CONF"], "-N", node)

    def stop(self) -> None:
        """End every job and every daemon."""
        with suppress(AssertionError, subprocess.TimeoutExpired):
            self.command("scancel", "--signal=KILL", "--full", "--user=root")
            self.command("scancel", "--user=root")
        for node in self.nodes:
            self._kill_jobs_of(node)
        for daemon in reversed(self._daemons.values()):
            daemon.send_signal(signal.SIGTERM)
        for daemon in self._daemons.values():
            try:
                daemon.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def _kill_jobs_of(self, node: str) -> None:
        # The step's daemon first, or it would report how its job ended.
        for process in [*self._step_daemons(node), *self.processes_of(node)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def _step_daemons(self, node: str) -> list[psutil.Process]:
        # Their environment is overwritten by their title; their children's is not.
        found = []
        for process in self.processes_of(node):
            with suppress(psutil.NoSuchProcess):
                parent = process.parent()
                if parent is not None and parent.name() == "slurmstepd":
                    found.append(parent)
        return found

    def _idle_or_busy(self) -> set[str]:
        try:
            said = self.command("sinfo", "--noheader", "--Node", "--format=%N %T")
        except AssertionError:
            return set()
        states = (line.split() for line in said.splitlines())
        return {name for name, state in states if state in ("idle", "mixed", "allocated", "completing")}

    def _launch(self, name: str, *words: str) -> None:
        with (self.base / f"{name}.log").open("ab") as log:
            self._daemons[name] = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.base,
                env={**os.environ, **self.environment, "PATH": _path()},
            )

    def _wait(self, condition: Callable[[], bool], complaint: str) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not condition():
            ended = [name for name, daemon in self._daemons.items() if daemon.poll() is not None]
            if ended or time.monotonic() > deadline:
                logs = "\n".join(
                    f"{path.name}: {path.read_text(errors='replace')[-1000:]}"
                    for path in sorted(self.base.glob("*.log"))
                )
                raise AssertionError(f"{complaint} (ended: {ended})\n{logs}")
            time.sleep(0.1)

    def _write_configuration(self, ports: Mapping[str, int]) -> None:
        host = socket.gethostname().split(".")[0]
        nodes = "\n".join(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port}"
            " CPUs=2 RealMemory=4000 State=UNKNOWN"
            for node, port in ports.items()
        )
        (self.base / "munge").mkdir(mode=0o711)
        (self.base / "ctld").mkdir(mode=0o700)
        for node in ports:
            (self.base / f"slurmd.{node}").mkdir()
        key = self.base / "munge" / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        (self.base / "slurm.conf").write_text(
            _CONFIGURATION.format(
                host=host, port=find_free_port(), base=self.base, nodes=nodes, credential_s=_CREDENTIAL_S
            )
        )


@contextmanager
def running_slurm(nodes: int = 2) -> Iterator[Slurm]:
    """Start a cluster of virtual nodes and stop it; skips where Slurm is missing or this is not root."""
    if missing := [name for name in _PROGRAMS if shutil.which(name, path=_path()) is None]:
        pytest.skip(f"Slurm is not installed (apt-get install slurm-wlm munge): no {', '.join(missing)}")
    if os.geteuid() != 0:
        pytest.skip("the daemons of Slurm need root")
    # A socket's path must be short, and pytest's own folder may be closed to others.
    base = Path(tempfile.mkdtemp(prefix="eucentric-slurm-"))
    base.chmod(0o755)
    try:
        slurm = Slurm(base, {f"em{index}": find_free_port() for index in range(1, nodes + 1)})
        try:
            slurm.start()
            yield slurm
        finally:
            slurm.stop()
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _path() -> str:
    # Daemons lie where only root's PATH leads.
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
