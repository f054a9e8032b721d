"""What Slurm's commands print, as 22.05.8 printed it, and parts of it that are missing."""

from __future__ import annotations

import pytest

from memleash_responder.adapters.controllers.controller import CallFailed, is_ours
from memleash_responder.adapters.controllers.slurm import jobs_of, node_of
from memleash_responder.core.host_states import HostState

NODE = """\
NodeName=node-1 Arch=x86_64 CoresPerSocket=1 
   CPUAlloc=0 CPUEfctv=1 CPUTot=1 CPULoad=21.08
   AvailableFeatures=(null)
   ActiveFeatures=(null)
   Gres=(null)
   NodeAddr=127.0.0.1 NodeHostName=vm Version=22.05.8
   OS=Linux 6.1.0 #1 SMP PREEMPT_DYNAMIC @0 
   RealMemory=1 AllocMem=0 FreeMem=14945 Sockets=1 Boards=1
   State={state} ThreadsPerCore=1 TmpDisk=0 Weight=1 Owner=N/A MCS_label=N/A
   Partitions=all 
   BootTime=1795704465 SlurmdStartTime={started}
   LastBusyTime=1795793522
   CfgTRES=cpu=1,mem=1M,billing=1
   AllocTRES=
   CapWatts=n/a
   CurrentWatts=0 AveWatts=0
   ExtSensorsJoules=n/s ExtSensorsWatts=0 ExtSensorsTemp=n/s
{reason}
"""  # noqa: W291 - as it was printed


def shown(state: str = "IDLE", started: str = "1795793521", reason: str = "") -> str:
    return NODE.format(state=state, started=started, reason=reason)


@pytest.mark.parametrize(
    ("state", "called"),
    [
        ("IDLE", HostState.CONNECTED),
        ("MIXED", HostState.CONNECTED),
        ("ALLOCATED+DRAIN", HostState.CONNECTED),
        ("IDLE+COMPLETING", HostState.CONNECTED),
        ("IDLE+RESERVED", HostState.CONNECTED),
        ("IDLE+MAINTENANCE+RESERVED", HostState.MAINTENANCE),
        ("DOWN+MAINTENANCE+NOT_RESPONDING", HostState.MAINTENANCE),
        ("ALLOCATED+NOT_RESPONDING", HostState.DISCONNECTED),
        ("DOWN+DRAIN", HostState.DISCONNECTED),
        ("IDLE+POWERED_DOWN", HostState.DISCONNECTED),
        ("MIXED+POWERING_UP", HostState.CONNECTING),
    ],
)
def test_a_nodes_state_is_the_hosts(state: str, called: HostState) -> None:
    assert node_of(shown(state), "node-1").host_state is called


@pytest.mark.parametrize("state", ["UNKNOWN", "FUTURE", "ERROR", "IDLE*", "idle", "+DRAIN"])
def test_a_state_that_is_not_known_is_unknown(state: str) -> None:
    with pytest.raises(CallFailed, match="is not known"):
        _ = node_of(shown(state), "node-1").host_state


@pytest.mark.parametrize(
    ("reason", "ours"),
    [
        ("", False),
        ("   Reason=memleash: abc-1 [root@1795793541]", True),
        ("   Reason=memleash [slurm@1795793541]", True),
        ("   Reason=Kill task failed [root@1795793541]", False),
        ("   Reason=see memleash: abc [root@1795793541]", False),
        ("   Comment=Reason=memleash: abc [root@1]\n   Reason=a disk [root@1795793541]", False),
    ],
)
def test_the_reason_says_whose_drain_it_is(reason: str, ours: bool) -> None:
    assert is_ours(node_of(shown("IDLE+DRAIN", reason=reason), "node-1").reason) is ours


def test_a_slurmd_that_never_registered_has_no_start() -> None:
    assert node_of(shown(), "node-1").slurmd_started == 1795793521
    assert node_of(shown(started="None"), "node-1").slurmd_started is None


@pytest.mark.parametrize(
    "text", ["", "NodeName=node-1", shown().partition("   Boot")[0], "No nodes"]
)
def test_half_a_node_is_unknown(text: str) -> None:
    with pytest.raises(CallFailed, match="half an answer"):
        node_of(text, "node-1")


def test_another_node_is_unknown() -> None:
    with pytest.raises(CallFailed, match="shows node-1"):
        node_of(shown(), "localhost")


def test_jobs_have_ids_names_and_states() -> None:
    listed = "JOBID STATE NAME\n7 COMPLETING a name of many words\n8_[1-3] CONFIGURING x\n"
    jobs = [(one.id, one.name) for one in jobs_of(listed)]
    assert jobs == [("7", "a name of many words (completing)"), ("8_[1-3]", "x (configuring)")]


def test_a_line_that_is_no_job_counts_all_the_same() -> None:
    assert [one.id for one in jobs_of("JOBID STATE NAME\nrubbish\n")] == ["rubbish"]


@pytest.mark.parametrize("listed", ["", "JOBID STATE ", "7 RUNNING simulation\n"])
def test_a_list_without_its_heading_is_unknown(listed: str) -> None:
    with pytest.raises(CallFailed, match="half an answer"):
        jobs_of(listed)
