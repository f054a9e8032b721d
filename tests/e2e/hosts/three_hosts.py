"""Three real hosts in two networks, a jump host between these, and the machine that watches.

    near  10.88.1.0/24   control, jump, host-a, host-b
    far   10.88.2.0/24            jump, host-c

``control`` has no way into the far network but through ``jump``: SSH by ProxyJump, the exporter
and the agent's health check by a relay. Docker's own rules keep the networks apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from demo.stack.http import CallFailed, Json, call, get
from demo.stack.processes import wait_until
from tests.e2e.docker import docker, start
from tests.e2e.hosts import configs, documented
from tests.e2e.hosts.machine import Machine

NEAR, FAR = "memleash-near", "memleash-far"
_SUBNETS = {NEAR: "10.88.1.0/24", FAR: "10.88.2.0/24"}
_JUMP_FAR = "10.88.2.20"
_PLACES = {
    "control": (NEAR, "10.88.1.10"),
    "jump": (NEAR, "10.88.1.20"),
    "host-a": (NEAR, "10.88.1.31"),
    "host-b": (NEAR, "10.88.1.32"),
    "host-c": (FAR, "10.88.2.33"),
}
HOSTS = ("host-a", "host-b", "host-c")
HARDENED = "host-c"
"""The one whose authorized_keys has a forced command."""
_AGENTS = 5
"""A sample agent on each host, and two of other people's."""
_RELAYED = (10058, 7070)
AS_A_HOST = (
    *("--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined"),
    *("--cgroupns", "host", "-v", "/sys/fs/cgroup:/sys/fs/cgroup"),
    *("--tmpfs", "/run", "--tmpfs", "/run/lock"),
)
_SSH_CONFIG = f"""\
Host jump
  HostName {_PLACES["jump"][1]}
Host host-c
  HostName {_PLACES["host-c"][1]}
  ProxyJump jump
"""
_CONTROLLER_UNIT = """\
[Service]
Environment=PYTHONPATH=/opt/demo
ExecStart=/usr/bin/python3 -m demo.controller --listen 0.0.0.0:8080 \
    --agent-url http://{host}:7070/host/echo
"""
_OPERATOR_TOKEN, _WEBHOOK_TOKEN = "operator-of-the-tests", "webhook-of-the-tests"


@dataclass(frozen=True, slots=True)
class Fleet:
    """The machines by name, and what those who watch over them say."""

    machines: dict[str, Machine]

    @property
    def control(self) -> Machine:
        return self.machines["control"]

    @property
    def hosts(self) -> list[Machine]:
        return [self.machines[name] for name in HOSTS]

    def host(self, name: str) -> Machine:
        return self.machines[name]

    def url(self, port: int, path: str) -> str:
        """Return an address on control."""
        return f"http://{self.control.address}:{port}{path}"

    # -- what the responder and the controller say --------------------------------------------

    def restarts(self, host: str, since: float) -> list[Json]:
        """Return the responder's history of a host since a unix time, newest first."""
        restarts = get(self.url(10059, "/api/v1/restarts"))["restarts"]
        return [
            each
            for each in restarts
            if each["host"] == host and _unix(each["requested_at"]) >= since
        ]

    def outcomes(self, host: str, since: float) -> list[str]:
        return [str(each["outcome"]) for each in self.restarts(host, since)]

    def state(self, host: str) -> str:
        return str(get(self.url(10059, f"/api/v1/hosts/{host}"))["state"])

    def metrics(self) -> str:
        return str(get(self.url(10059, "/metrics")))

    def query(self, expr: str) -> list[Json]:
        """Return the samples of an instant query to Prometheus."""
        answer = get(self.url(9090, f"/api/v1/query?query={quote(expr)}"))
        return list(answer["data"]["result"])

    def calls(self, name: str, since: float) -> list[tuple[float, str]]:
        """Return when the controller was called ``name``, and for which path."""
        return [
            (_unix(each["at"]), each["path"])
            for each in get(self.url(8080, "/calls"))
            if each["call"] == name and _unix(each["at"]) >= since
        ]

    # -- what is done -------------------------------------------------------------------------

    def begin_task(self, host: str) -> None:
        call("POST", self.url(8080, f"/hosts/{host}/tasks"), {"id": "task-1"})

    def end_task(self, host: str) -> None:
        call("DELETE", self.url(8080, f"/hosts/{host}/tasks/task-1"))

    def until(self, what: str, look: Callable[[], Any], timeout_seconds: float = 180) -> Any:
        """Wait for ``look`` to be true, through answers that do not come; return it."""

        def patient() -> Any:
            try:
                return look()
            except CallFailed:
                return None

        def seen() -> object:
            return [
                (each["host"], each["agent"], each["outcome"], each.get("reason"))
                for each in get(self.url(10059, "/api/v1/restarts"))["restarts"][:8]
            ]

        return wait_until(
            what, patient, timeout_seconds=timeout_seconds, every_seconds=0.3, seen=seen
        )

    def until_settled(self) -> None:
        """Wait until every agent is seen, every host connected, and no restart open."""

        def settled() -> bool:
            seen = self.query("memleash_agent_resident_memory_bytes and memleash_agent_ready == 1")
            return (
                len(seen) == _AGENTS
                and "memleash_responder_restart_in_progress{" not in self.metrics()
                and all(self.state(host) == "connected" for host in HOSTS)
            )

        self.until("all hosts to be connected and at rest", settled)

    def until_alerts_are_over(self) -> None:
        def none() -> bool:
            alerts = get(self.url(9090, "/api/v1/alerts"))["data"]["alerts"]
            name = "AgentMemoryHardLimitExceeded"
            return not [each for each in alerts if each["labels"]["alertname"] == name]

        self.until("no agent to be over its limit", none)


def _unix(text: str | float) -> float:
    return text if isinstance(text, float) else datetime.fromisoformat(text).timestamp()


@contextmanager
def running_fleet(host_image: str, control_image: str) -> Iterator[Fleet]:
    """Run the machines; none of them is there any more when this is left."""
    with ExitStack() as cleanup:
        for network, subnet in _SUBNETS.items():
            docker("network", "create", "--subnet", subnet, network)
            cleanup.callback(docker, "network", "rm", network)
        machines = {}
        for name, (network, address) in _PLACES.items():
            image = control_image if name == "control" else host_image
            container = start(name, image, [*AS_A_HOST, *_network(name, network, address)])
            cleanup.callback(container.remove)
            machines[name] = Machine(container, network, address)
        docker("network", "connect", "--ip", _JUMP_FAR, FAR, "jump")
        for machine in machines.values():
            machine.wait_booted()
        fleet = Fleet(machines)
        _set_up_hosts(fleet)
        _set_up_jump(fleet.host("jump"))
        _set_up_control(fleet)
        fleet.until("the responder", lambda: get(fleet.url(10059, "/-/ready")))
        fleet.until_settled()
        yield fleet


def _network(name: str, network: str, address: str) -> list[str]:
    names = []
    if name == "control":
        for host in HOSTS:
            at = _PLACES["jump"] if _PLACES[host][0] == FAR else _PLACES[host]
            names += ["--add-host", f"{host}:{at[1]}"]
    return ["--network", network, "--ip", address, *names]


def _set_up_hosts(fleet: Fleet) -> None:
    """Put on each host what the documentation says, its agents, and the exporter's settings."""
    agents = {
        "host-a": [configs.sample_agent(), configs.collectd()],
        "host-b": [configs.sample_agent(), configs.zabbix_agent()],
        "host-c": [configs.sample_agent()],
    }
    for host in fleet.hosts:
        write = host.container.write
        clearing = documented.clearing_sudoers(configs.UNITS[configs.COLLECTD])
        lines = documented.sudoers(*configs.UNITS.values()) + clearing
        write("/etc/sudoers.d/memleash", lines, mode="440")
        host.run("visudo", "-c", "-q")
        write("/etc/systemd/system/sample-agent.service", configs.SAMPLE_UNIT)
        write("/etc/memleash/exporter.yml", configs.exporter(*agents[host.name]))
        drop_in = configs.EXPORTER_DROP_IN.format(control_groups=host.control_groups())
        write("/etc/systemd/system/memleash-exporter.service.d/container.conf", drop_in)
        units = [configs.UNITS[agent["name"]] for agent in agents[host.name]]
        if configs.UNITS[configs.COLLECTD] in units:
            write("/etc/collectd/collectd.conf", configs.COLLECTD_CONF)
            write("/etc/collectd/leak.py", configs.COLLECTD_LEAK)
        if configs.UNITS[configs.ZABBIX] in units:
            write("/etc/zabbix/zabbix_agentd.conf.d/slow.conf", configs.ZABBIX_SLOW_ITEM)
            write("/usr/local/bin/slow-item", configs.SLOW_ITEM, mode="755")
        host.run("systemctl", "daemon-reload")
        host.run("systemctl", "enable", "--now", *units, "memleash-exporter.service")
    script = documented.forced_command(f"sudo -n systemctl restart {configs.UNITS[configs.SAMPLE]}")
    fleet.host(HARDENED).container.write("/usr/local/sbin/memleash-restart", script, mode="755")


def _set_up_jump(jump: Machine) -> None:
    for port in _RELAYED:
        name = f"/etc/systemd/system/relay-{port}"
        jump.container.write(f"{name}.socket", configs.RELAY_SOCKET.format(port=port))
        service = configs.RELAY_SERVICE.format(address=_PLACES["host-c"][1], port=port)
        jump.container.write(f"{name}.service", service)
    jump.run("systemctl", "daemon-reload")
    jump.run("systemctl", "enable", "-q", "--now", *(f"relay-{port}.socket" for port in _RELAYED))


def _set_up_control(fleet: Fleet) -> None:
    control, write = fleet.control, fleet.control.container.write
    control.run("install", "-d", "-o", "memleash", "-g", "memleash", "/etc/memleash")
    key = "/etc/memleash/id_ed25519"
    control.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key, user="memleash")
    public = control.run("cat", f"{key}.pub").strip()
    for machine in (*fleet.hosts, fleet.host("jump")):
        line = documented.authorized_key(public, forced=machine.name == HARDENED)
        if machine.name == "jump":
            line = line.replace("restrict", "restrict,port-forwarding", 1)
        machine.container.write("/home/memleash/.ssh/authorized_keys", line, owner="memleash")
    write_known_hosts(fleet)
    mine = {"mode": "640", "owner": "memleash"}
    write("/etc/memleash/ssh_config", _SSH_CONFIG, **mine)
    write("/etc/memleash/hosts.yml", configs.inventory({h: f"{h}:10058" for h in HOSTS}))
    write("/etc/memleash/responder.yml", configs.responder(), **mine)
    write("/etc/memleash/operator-token", _OPERATOR_TOKEN, **mine)
    write("/etc/memleash/webhook-token", _WEBHOOK_TOKEN)
    for name, text in configs.rules().items():
        write(f"/etc/prometheus/rules/{name}", text)
    write("/etc/prometheus/prometheus.yml", configs.prometheus())
    write("/etc/prometheus/alertmanager.yml", configs.alertmanager("/etc/memleash/webhook-token"))
    write("/etc/default/prometheus-alertmanager", 'ARGS="--cluster.listen-address="\n')
    write("/etc/systemd/system/controller.service", _CONTROLLER_UNIT)
    control.run("systemctl", "daemon-reload")
    units = ("controller", "prometheus-alertmanager", "memleash-responder", "prometheus")
    control.run("systemctl", "start", *units)


def write_known_hosts(fleet: Fleet) -> None:
    """Give the responder every machine's host key, as configuration management does."""
    lines = []
    for machine in (*fleet.hosts, fleet.host("jump")):
        key = machine.run("cat", "/etc/ssh/ssh_host_ed25519_key.pub").strip()
        lines.append(f"{machine.name},{machine.address} {key}\n")
    fleet.control.container.write("/etc/memleash/known_hosts", "".join(lines), owner="memleash")


def now() -> float:
    return time.time()
