"""A real Slurm on loopback: slurmctld and the slurmd of one node, without munge."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from demo.stack.ports import reserve_ports
from demo.stack.processes import wait_until
from memleash_responder.controller_settings import SlurmSettings, SlurmWork
from memleash_responder.core.facts import Host
from memleash_toolkit.values import Duration

BIN = Path("/usr/bin")
NODE = "node-1"
EVERY_STATE = tuple(SlurmWork)
_HANGS_AFTER = Duration(0.5)
_CONFIG = """\
ClusterName=memleash
SlurmctldHost={machine}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
SlurmctldPort={ctld_port}
SlurmdPort={slurmd_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
ReturnToService=2
MessageTimeout=5
Epilog={folder}/epilog
NodeName={node} NodeAddr=127.0.0.1 NodeHostname={machine} CPUs=1
PartitionName=all Nodes=ALL Default=YES State=UP
"""
_EPILOG = "#!/bin/sh\nwhile [ -e {folder}/hold ]; do sleep 0.1; done\n"
_SLOW = '#!/bin/sh\nsleep 0.3\nexec {bin}/{program} "$@"\n'
_HALF = '#!/bin/sh\n{bin}/{program} "$@" | head -c 12\n'


class Slurm:
    """A cluster of one node, in ``folder``."""

    def __init__(self, folder: Path, ctld_port: int, slurmd_port: int) -> None:
        self.folder = folder
        self.conf = folder / "slurm.conf"
        for name in ("state", "spool", "bin"):
            (folder / name).mkdir(parents=True)
        config = _CONFIG.format(
            folder=folder,
            machine=socket.gethostname().partition(".")[0],
            ctld_port=ctld_port,
            slurmd_port=slurmd_port,
            node=NODE,
        )
        self.conf.write_text(config, encoding="utf-8")
        self.script("epilog", _EPILOG.format(folder=folder))
        self._log = (folder / "log").open("ab")
        self.slurmctld = self._start("slurmctld")
        self.slurmd = self.start_slurmd()

    def stop(self) -> None:
        """End the jobs and both daemons."""
        self.slurmctld.send_signal(signal.SIGCONT)
        (self.folder / "hold").unlink(missing_ok=True)
        try:
            if self.slurmctld.poll() is None:
                self.run("scancel", "--me")
                wait_until("no job", lambda: not self.jobs())
        finally:
            for daemon in (self.slurmd, self.slurmctld):
                daemon.kill()
                daemon.wait()
            self._log.close()

    def run(self, program: str, *arguments: str) -> str:
        """Return what one of Slurm's commands prints."""
        environment = {**os.environ, "SLURM_CONF": str(self.conf)}
        return subprocess.run(
            [BIN / program, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout

    def script(self, name: str, text: str) -> None:
        """Put a program into the folder."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def start_slurmd(self) -> subprocess.Popen[bytes]:
        """Start the node's slurmd, and leave it to itself."""
        self.slurmd = self._start("slurmd", "-N", NODE)
        return self.slurmd

    def kill_slurmd(self) -> None:
        """End slurmd as its unit does: its jobs go on."""
        self.slurmd.terminate()
        self.slurmd.wait()

    def state(self) -> str:
        """Return the node's state, such as IDLE+DRAIN."""
        shown = self.run("scontrol", "show", "node", NODE)
        return shown.partition(" State=")[2].split()[0]

    def jobs(self) -> dict[str, str]:
        """Return the state of each job by its name."""
        return dict(one.split() for one in self.run("squeue", "-h", "-o", "%j %T").splitlines())

    def submit(self, name: str, *options: str, command: str = "sleep 600") -> None:
        """Have a job run."""
        output = str(self.folder / f"{name}.out")
        self.run("sbatch", "-J", name, "-o", output, *options, "--wrap", command)

    def _start(self, program: str, *options: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [f"/usr/sbin/{program}", "-D", "-f", str(self.conf), *options],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Slurm]:
    """Yield a cluster whose node is idle."""
    with reserve_ports() as (ctld_port, slurmd_port, *_):
        slurm = Slurm(folder, ctld_port, slurmd_port)
        try:
            wait_until("an idle node", lambda: _answers(slurm) == "IDLE")
            yield slurm
        finally:
            slurm.stop()


def _answers(slurm: Slurm) -> str:
    try:
        return slurm.state()
    except subprocess.SubprocessError:
        return ""


class SlurmDriver:
    """The cluster, as the conformance suite needs it. All jobs count that are not pending."""

    def __init__(self, slurm: Slurm) -> None:
        self.slurm = slurm
        self.settings = SlurmSettings("hpc", conf_file=slurm.conf, count=EVERY_STATE)
        self.host = Host(NODE, "127.0.0.1:1", NODE, {"host": NODE})
        self.unknown = Host("node-2", "127.0.0.1:1", "node-2", {"host": "node-2"})

    def run_task(self, name: str) -> None:
        self.slurm.submit(name)
        wait_until("the job runs", lambda: self.slurm.jobs().get(name) == "RUNNING")

    def queue_task(self) -> None:
        self.slurm.submit("waits", "--hold")

    def is_drained(self) -> bool:
        return "DRAIN" in self.slurm.state()

    def drain_by_somebody(self) -> None:
        self.slurm.run("scontrol", "update", f"NodeName={NODE}", "State=DRAIN", "Reason=a disk")

    def begin_maintenance(self) -> None:
        reservation = "starttime=now duration=60 flags=maint,ignore_jobs users=root"
        self.slurm.run("scontrol", "create", "reservation", *reservation.split(), f"nodes={NODE}")
        wait_until("the maintenance has begun", self.is_in_maintenance)

    def is_in_maintenance(self) -> bool:
        return "MAINTENANCE" in self.slurm.state()

    def kill_node(self) -> None:
        self.slurm.slurmctld.kill()
        self.slurm.slurmctld.wait()

    def hang(self) -> None:
        self.settings = dataclasses.replace(self.settings, timeout=_HANGS_AFTER)
        self.slurm.slurmctld.send_signal(signal.SIGSTOP)

    def slow_down(self) -> None:
        self._wrap(_SLOW)

    def halve_answers(self) -> None:
        self._wrap(_HALF)

    def _wrap(self, script: str) -> None:
        for program in ("scontrol", "squeue"):
            self.slurm.script(f"bin/{program}", script.format(bin=BIN, program=program))

    def wrapped(self) -> SlurmSettings:
        """Return settings under which the commands can be slowed down or cut short later."""
        self._wrap('#!/bin/sh\nexec {bin}/{program} "$@"\n')
        return dataclasses.replace(self.settings, bin_dir=self.slurm.folder / "bin")

    def expire_login(self) -> None:
        """Do nothing: there is no login."""

    def take_long(self) -> None:
        self.slurm.kill_slurmd()

    def refuse_reconnects(self) -> None:
        self.slurm.kill_slurmd()

    def restart_agent_on_reconnect(self) -> None:
        self.slurm.kill_slurmd()
        self.slurm.start_slurmd()

    def reconnects(self) -> int:
        """Return 0: nothing is asked for."""
        return 0
