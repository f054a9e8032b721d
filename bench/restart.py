"""How soon a restart begins, and how long a hundred take: `python -m bench.restart`.

1. From the webhook's arrival to the restart command starting on the host, all guards passed,
   beside `ssh host true` and a bare Fabric run to the same sshd, one after the other in turn.
   The bar: at most twice the bare Fabric run.
2. 100 hosts over the limit, 10 at a time, beside the ideal: what one restart takes by itself,
   command and readiness, times 100 / 10. The bar: at most 1.2 times the ideal.

Everything is on loopback and real: sshd, agents, exporter, responder, three controllers that
answer at once. In the second part a new life is ready after 5 s, as a management agent's is: were
it ready at once, a hundred hosts on one machine would measure that machine's cores. Writes
bench/restart.json and a table; exits 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import fabric
import paramiko

from demo.stack.loopback_hosts import Fleet, Member, running
from demo.stack.processes import wait_until
from demo.stack.responder import Responder

RESULT = Path(__file__).with_suffix(".json")
MAX_TIMES_FABRIC, MAX_TIMES_IDEAL = 2.0, 1.2
AGENTS_PER_EXPORTER = 5
"""A host has a few; one exporter for all would make each look at a host a look at all of them."""
START_DELAY_SECONDS = 5.0
BEFORE_COMMAND = ("admit", "hold", "verify", "diagnose")


def main() -> int:
    """Run both, write the figures, and say whether the bars hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=10)
    options = parser.parse_args()
    # A run that is ended leaves nothing behind: the agents are services, in sessions of their own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    result = {
        "command": "python -m bench.restart",
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "first_command": first_command(options.rounds) if options.rounds else None,
        "fleet": whole_fleet(options.hosts, options.at_once) if options.hosts else None,
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0 if report(result) else 1


def first_command(rounds: int) -> dict[str, Any]:
    """Measure from the webhook to the command, and SSH alone, in turn."""
    command = "date +%s.%N >{folder}/began; {service} restart"
    members = [Member(f"host-{number}", command) for number in range(rounds)]
    took: dict[str, list[float]] = {"ssh": [], "fabric": [], "webhook": []}
    shares: list[dict[str, float]] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder) / "fleet", members, agents_per_exporter=AGENTS_PER_EXPORTER) as fleet,
    ):
        fleet.start_agents(fleet.members)
        with fleet.responder("bench", log_level="warn") as responder:
            responder.start()
            for name in fleet.members:
                took["ssh"].append(timed(lambda: ssh_true(fleet)))
                took["fabric"].append(timed(lambda: fabric_true(fleet)))
                arrived = time.time()
                responder.alert(name)
                request = responder.finished(name)
                began = float((fleet.service(name) / "began").read_text(encoding="ascii"))
                assert request["outcome"] == "restarted", request
                took["webhook"].append(began - arrived)
                shares.append(shares_of(request, arrived, began))
    return {
        "seconds": {name: spread(values) for name, values in took.items()},
        "times_fabric": statistics.median(took["webhook"]) / statistics.median(took["fabric"]),
        "share_seconds": {
            name: round(statistics.median(one[name] for one in shares), 4) for name in shares[0]
        },
    }


def timed(work: Callable[[], None]) -> float:
    """Return how many seconds ``work`` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ssh_true(fleet: Fleet) -> None:
    """Run `true` with OpenSSH's client."""
    server = fleet.sshd
    options = ["-F", "none", "-o", f"UserKnownHostsFile={server.known_hosts_file}"]
    options += ["-o", "BatchMode=yes", "-i", str(server.identity_file), "-p", str(server.port)]
    subprocess.run(["ssh", *options, f"{server.user}@127.0.0.1", "true"], check=True)


def fabric_true(fleet: Fleet) -> None:
    """Run `true` with Fabric as its documentation does, from a process that has it loaded."""
    server = fleet.sshd
    config = fabric.Config(lazy=True, ssh_config=paramiko.SSHConfig())
    arguments = {"key_filename": str(server.identity_file)}
    with fabric.Connection(
        "127.0.0.1", server.user, server.port, config=config, connect_kwargs=arguments
    ) as connection:
        connection.run("true", hide=True, in_stream=False)


def shares_of(request: dict[str, Any], arrived: float, began: float) -> dict[str, float]:
    """Return where the time from the webhook to the command went, in seconds."""
    steps = {step["step"]: step for step in request["steps"]}
    requested = datetime.fromisoformat(request["requested_at"]).timestamp()
    admitted = steps["admit"]["started_at"]
    shares = {"stored, recorded": requested - arrived, "looked at, queued": admitted - requested}
    shares |= {name: steps[name]["seconds"] for name in BEFORE_COMMAND}
    shares["restart: session, last look"] = began - steps["restart"]["started_at"]
    shares["records between"] = began - arrived - sum(shares.values())
    return shares


def whole_fleet(hosts: int, at_once: int) -> dict[str, Any]:
    """Measure one restart by itself, some times, then all hosts at once."""
    alone = [f"alone-{number}" for number in range(5)]
    crowd = [f"host-{number}" for number in range(hosts)]
    patient = {"readiness": {"probes": 60, "timeout": "10s", "interval": "1s"}}
    members = [Member(name, settings=patient) for name in [*alone, *crowd]]
    fleet_policy = {
        "storm_fraction": 1,
        "max_concurrent_restarts": at_once,
        "max_restarts_per_hour": 1000,
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder) / "fleet", members, agents_per_exporter=AGENTS_PER_EXPORTER) as fleet,
    ):
        fleet.start_agents(fleet.members)
        for name in fleet.members:
            start_slowly_from_now_on(fleet, name)
        with fleet.responder("bench", log_level="warn", fleet=fleet_policy) as responder:
            responder.start()
            each = [restart_and_ready_seconds(responder, name) for name in alone]
            began, cpu_before = time.perf_counter(), cpu_seconds(responder.pid)
            responder.alert(*crowd)
            wait_until(
                "all to have their word",
                lambda: sum(responder.outcomes().values()) >= len(members),
                timeout_seconds=600,
                every_seconds=2.0,
                seen=responder.outcomes,
            )
            total = time.perf_counter() - began
            cpu = cpu_seconds(responder.pid) - cpu_before
            outcomes = responder.outcomes()
        assert outcomes == {"restarted": len(members)}, outcomes
        assert all(fleet.starts(name) == 2 for name in fleet.members)
    ideal = statistics.median(each) * hosts / at_once
    return {
        "hosts": hosts,
        "at_once": at_once,
        "restart_and_ready_seconds": spread(each),
        "ideal_seconds": ideal,
        "total_seconds": total,
        "times_ideal": total / ideal,
        "responder_cpu_seconds_each": cpu / hosts,
    }


def start_slowly_from_now_on(fleet: Fleet, name: str) -> None:
    """Let an agent take its time when it is started again."""
    command = fleet.service(name) / "command"
    text = command.read_text(encoding="utf-8")
    command.write_text(f"{text} --start-delay {START_DELAY_SECONDS}", encoding="utf-8")


def cpu_seconds(pid: int) -> float:
    """Return how much CPU a process has used."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def restart_and_ready_seconds(responder: Responder, name: str) -> float:
    """Return what restart and readiness of one host take with nobody else about."""
    responder.alert(name)
    steps = {step["step"]: step["seconds"] for step in responder.finished(name)["steps"]}
    return float(steps["restart"] + steps["ready"])


def spread(values: list[float]) -> dict[str, float]:
    """Return median, least and most."""
    return {
        "p50": round(statistics.median(values), 4),
        "min": round(min(values), 4),
        "max": round(max(values), 4),
    }


def report(result: dict[str, Any]) -> bool:
    """Print the tables; return whether every bar holds."""
    holds = True
    print(f"{result['cores']} cores, load {result['load_before']:.1f} before")
    first, fleet = result["first_command"], result["fleet"]
    if first:
        print("\nseconds                         p50     min     max")
        for name, label in (
            ("ssh", "ssh host true"),
            ("fabric", "bare Fabric run"),
            ("webhook", "webhook to the command"),
        ):
            row = first["seconds"][name]
            print(f"{label:28} {row['p50']:7.3f} {row['min']:7.3f} {row['max']:7.3f}")
        for name, seconds in first["share_seconds"].items():
            print(f"  {name:26} {seconds:7.3f}")
        holds &= verdict("webhook to command / Fabric", first["times_fabric"], MAX_TIMES_FABRIC)
    if fleet:
        print(f"\n{fleet['hosts']} hosts, {fleet['at_once']} at once")
        print(f"ideal {fleet['ideal_seconds']:.1f} s, took {fleet['total_seconds']:.1f} s")
        print(f"the responder used {fleet['responder_cpu_seconds_each']:.2f} s of CPU for each")
        holds &= verdict("total / ideal", fleet["times_ideal"], MAX_TIMES_IDEAL)
    return holds


def verdict(what: str, value: float, bar: float) -> bool:
    """Print a ratio beside its bar."""
    print(f"{what}: {value:.2f}, at most {bar}: {'holds' if value <= bar else 'MISSED'}")
    return value <= bar


if __name__ == "__main__":
    sys.exit(main())
