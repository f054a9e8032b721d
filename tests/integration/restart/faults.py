"""The table of faults: each is one thing that is wrong on one host, and how that host ends."""

from __future__ import annotations

import dataclasses
from typing import Any

from demo.stack.fake_peers import Limit, Reply, limit
from demo.stack.loopback_hosts import OVER_MIB

MIB = 1024**2
RUNNING = {"running": [{"id": "task-7", "name": "migrate"}]}
REFUSE = Reply({"error": "not now"}, status=503)
CUT_SSH = "kill -9 $PPID"
"""The shell's parent is sshd's half of the session: the connection is lost there and then."""

TWO_AGENTS = """
{service} restart; cd {folder}; mv agent.pid first.pid; {service} start
first=/proc/$(cat first.pid) second=/proc/$(cat agent.pid)
until readlink $first/exe | grep -q python && grep -qzx demo.agent $first/cmdline; do :; done
until cmp -s $first/cmdline $second/cmdline; do :; done
kill -STOP $(cat agent.pid)"""
"""A restart that leaves a second process: like the first in all, and stopped before it finds the
first one's port taken. Between two programs (exec) a command line is empty, and so like another."""

Faults = dict[str, list[Reply]]


@dataclasses.dataclass(frozen=True)
class Row:
    """A fault, and how a host ends that has it."""

    fault: str
    outcome: str
    state: str = "connected"
    starts: int = 1
    """By the service's own log; the first is the beginning."""
    reason: str = ""
    """Part of what people are told."""
    peers: Faults = dataclasses.field(default_factory=dict)
    """By call, the answers of the peers; ``{host}`` in a header is filled in, as are
    ``{service}`` and ``{folder}`` in a command."""
    member: dict[str, Any] = dataclasses.field(default_factory=dict)
    """How its Member differs; addresses are names of what the test's fixture starts."""
    forced: bool = False
    """Whether a person asks for it with force; else an alert does."""

    @property
    def host(self) -> str:
        return self.fault.replace(" ", "-").replace(",", "")


def refused(
    fault: str, outcome: str, reason: str = "", peers: Faults | None = None, **member: Any
) -> Row:
    """Nothing is done to the agent, and its host is released."""
    return Row(fault, outcome, reason=reason, peers=peers or {}, member=member)


def failed(
    fault: str,
    outcome: str,
    *,
    starts: int,
    reason: str = "",
    peers: Faults | None = None,
    **member: Any,
) -> Row:
    """The command was sent and it ended badly: disconnected, drained, and people are paged."""
    reconnects = {"reconnect": [REFUSE]}
    return Row(
        fault, outcome, "disconnected", starts, reason, {**reconnects, **(peers or {})}, member
    )


def succeeds(
    fault: str, peers: Faults | None = None, *, forced: bool = False, **member: Any
) -> Row:
    """It is a fault that does not matter, or that force goes past."""
    return Row(fault, "restarted", starts=2, peers=peers or {}, member=member, forced=forced)


_FEW = {"readiness": {"probes": 8, "timeout": "10s", "interval": "250ms"}}

OF_SSH = [
    refused("ssh refused", "ssh_unreachable", ssh_address="refused"),
    refused("ssh black-holed", "ssh_unreachable", ssh_address="black_hole"),
    refused("banner never comes", "ssh_unreachable", ssh_address="silent"),
    refused(
        "channel never opens", "ssh_unreachable", "opened no channel", ssh_address="no_channel"
    ),
    refused("wrong host key", "host_key_mismatch", "has", ssh_address="wrong_key"),
    refused("unknown host key", "host_key_mismatch", "add the key", ssh_address="unknown_key"),
    refused("auth refused", "ssh_auth_failed", "authorized_keys", ssh_address="no_auth"),
    failed(
        "command fails",
        "command_failed",
        starts=1,
        reason="ended with exit code 7: ",
        command="echo no such unit >&2; exit 7",
    ),
    failed(
        "sudo wants a terminal",
        "command_failed",
        starts=1,
        reason="you must have a tty to run sudo; sudoers has requiretty: set ssh.pty: true",
        command="echo 'sudo: sorry, you must have a tty to run sudo' >&2; exit 1",
    ),
    failed("cut before it took effect", "command_failed", starts=1, command=f"{CUT_SSH}; exit 0"),
    succeeds("cut after it took effect", command=f"{{service}} restart; {CUT_SSH}; sleep 5"),
    succeeds("cut and it takes effect later", command=f"{CUT_SSH}; sleep 1; {{service}} restart"),
    failed(
        "agent never comes back",
        "not_ready",
        starts=1,
        reason="not running",
        command="{service} stop",
        settings=_FEW,
    ),
    failed(
        "old process stays",
        "not_ready",
        starts=1,
        reason="the old process is still running: it started at ",
        command="true",
        settings=_FEW,
    ),
    failed("two processes left", "not_ready", starts=3, command=TWO_AGENTS, settings=_FEW),
    failed(
        "agent never ready",
        "not_ready",
        starts=2,
        reason="does not answer ready",
        command="sed -i 's/--start-delay 0.2/--start-delay 300/' {folder}/command;"
        " {service} restart",
        settings=_FEW,
    ),
    Row(
        "restarted once more at the reconnect",
        "restarted",
        starts=3,
        reason="it was restarted once more before the end",
        # Starts less than a second apart count as one: a clock may have been adjusted between.
        peers={"mn-1 reconnect": [Reply({}, at_once="sleep 1.2; {service} restart")]},
    ),
    succeeds(
        "over the limit again",
        command=f"sed -i 's/--start-delay/--hold-mib {OVER_MIB} --start-delay/' {{folder}}/command;"
        " {service} restart",
    ),
]

_UNAVAILABLE = "facts_unavailable"
_FROM_RULES = {"limit_from_prometheus": True}

OF_FACTS = [
    refused("exporter down", _UNAVAILABLE, "exporter of", exporter_address="dead"),
    refused("exporter answers nonsense", _UNAVAILABLE, exporter_address="nonsense"),
    refused(
        "prometheus cuts", _UNAVAILABLE, "Prometheus", {"limit": [Reply(cut=True)]}, **_FROM_RULES
    ),
    refused(
        "prometheus in error", _UNAVAILABLE, "503", {"limit": [Reply(status=503)]}, **_FROM_RULES
    ),
    refused(
        "prometheus is slow",
        _UNAVAILABLE,
        "Prometheus",
        {"limit": [Reply(delay=30)]},
        **_FROM_RULES,
    ),
    refused(
        "prometheus is stale",
        _UNAVAILABLE,
        "is 301 s old",
        {"limit": [limit(48 * MIB, age=301)]},
        **_FROM_RULES,
    ),
    refused(
        "limit unknown to the rules",
        _UNAVAILABLE,
        "no sample",
        {"limit": [Reply({"status": "success", "data": {"result": []}})]},
        **_FROM_RULES,
    ),
    refused(
        "exporter of 400 digits", _UNAVAILABLE, "not the Prometheus", exporter_address="digits"
    ),
    refused(
        "limit of another host",
        _UNAVAILABLE,
        "was answered for",
        {"limit": [Reply(Limit(48 * MIB, 1, labels={"host": "another"}))]},
        **_FROM_RULES,
    ),
    refused(
        "limit of yesterday",
        _UNAVAILABLE,
        "do the clocks agree?",
        {"limit": [Reply(Limit(48 * MIB, 1, evaluated_ago=86_400))]},
        **_FROM_RULES,
    ),
    refused(
        "limit is no number",
        _UNAVAILABLE,
        "is 'nan', which is no limit",
        {"limit": [limit(float("nan"), age=1)]},
        **_FROM_RULES,
    ),
    refused("pings in error", _UNAVAILABLE, "503", {"pings": [Reply(status=503)]}, **_FROM_RULES),
    refused(
        "pings without a sign of life",
        _UNAVAILABLE,
        "without a sign of life",
        {"pings": [Reply({"status": "success", "data": {"result": []}})]},
        **_FROM_RULES,
    ),
    refused("limit is off", "below_hard_limit", "off", {"limit": [limit(0, age=1)]}, **_FROM_RULES),
    refused(
        "limit was raised",
        "below_hard_limit",
        "not above",
        {"limit": [limit(1024 * MIB, age=1)]},
        **_FROM_RULES,
    ),
    succeeds("limit from the rules", limit_from_prometheus=True),
]

_UNREACHABLE = "controller_unreachable"


def tasks(*replies: Reply) -> Faults:
    return {"mn-2 tasks": list(replies)}


def state(reply: Reply) -> Faults:
    return {"mn-2 state": [reply]}


OF_CONTROLLERS = [
    refused(
        "state slow",
        _UNREACHABLE,
        "no whole answer within",
        state(Reply({"state": "connected"}, delay=30)),
    ),
    refused("state in error", _UNREACHABLE, "500", state(Reply(status=500))),
    refused("state not JSON", _UNREACHABLE, "is not JSON", state(Reply(raw=b"<html>"))),
    refused(
        "state a strange word",
        _UNREACHABLE,
        "state is none of connected, ",
        state(Reply({"state": "asleep"})),
    ),
    refused("state 404", _UNREACHABLE, "404", state(Reply(status=404))),
    refused("tasks in error", _UNREACHABLE, "500", tasks(Reply(status=500))),
    refused("tasks not JSON", _UNREACHABLE, "mn-2", tasks(Reply(raw=b"<html>"))),
    refused("tasks not a list", _UNREACHABLE, "not a list", tasks(Reply({"running": 4}))),
    refused("one of three unreachable", _UNREACHABLE, "mn-2", tasks(Reply(cut=True))),
    refused("tasks running", "tasks_running", "mn-2: migrate", tasks(Reply(RUNNING))),
    succeeds("tasks 404", tasks(Reply(status=404))),
    succeeds("tasks without running", tasks(Reply({}))),
    succeeds("tasks null", tasks(Reply({"running": None}))),
    succeeds("only pending tasks", tasks(Reply({"running": [], "pending": [{"id": "8"}]}))),
    refused(
        "very many tasks",
        "tasks_running",
        "and 99,992 more",
        {"mn-1 tasks": [Reply({"running": [{"id": str(one)} for one in range(100_000)]})]},
    ),
    refused(
        "tasks nested without end",
        _UNREACHABLE,
        "is not JSON",
        {"mn-2 tasks": [Reply(raw=b"[" * 100_000)]},
    ),
    refused("drain fails", _UNREACHABLE, "drain", {"mn-3 drain": [Reply(status=500)]}),
    succeeds("drain fails, forced", {"mn-3 drain": [Reply(status=500)]}, forced=True),
    failed("reconnect refused", "reconnect_failed", starts=2, reason="503"),
    succeeds("reconnect connection lost", {"mn-1 reconnect": [Reply(cut=True), Reply({})]}),
]

OF_LONG_WAITS = [
    failed(
        "ready then dead",
        "not_ready",
        starts=2,
        reason="gone again",
        peers={
            "mn-1 reconnect": [Reply({}, at_once="{service} stop")],
            "reconnect": [Reply({})],
        },
    ),
    failed(
        "memory of the new process unknown",
        "not_ready",
        starts=2,
        reason="whether it helped cannot be told: the exporter cannot tell"
        " memleash_agent_limited_memory_bytes",
        exporter_address="forgetful",
    ),
    refused("tasks slow", _UNREACHABLE, "mn-2", tasks(Reply(RUNNING, delay=30))),
    failed(
        "reconnect hangs",
        "reconnect_failed",
        starts=2,
        reason="in time",
        peers={"mn-1 reconnect": [Reply(delay=20), REFUSE]},
    ),
    failed(
        "reconnect polled for ever",
        "reconnect_failed",
        starts=2,
        reason="in time",
        peers={
            "mn-1 reconnect": [Reply(status=202, headers={"Location": "hosts/{host}/polled"})],
            "mn-1 polled": [Reply(status=202, headers={"Location": "polled"})],
            "reconnect": [Reply({})],
        },
    ),
    succeeds(
        "reconnect 202 and polled",
        {
            "mn-1 reconnect": [Reply(status=202, headers={"Location": "hosts/{host}/polled"})],
            "mn-1 polled": [Reply(status=202), Reply({})],
        },
    ),
    failed(
        "command hangs", "command_failed", starts=1, reason="not seen within", command="sleep 9"
    ),
]

FAULTS = OF_LONG_WAITS + OF_SSH + OF_FACTS + OF_CONTROLLERS
"""Those that wait long come first: the others are dealt with meanwhile."""
