"""A host and the machine that watches it, set up by what the pages of docs/ say.

What the pages leave to the reader is done here: names, addresses, small limits, a quick pace.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from demo.stack.http import Json, get
from demo.stack.processes import wait_until
from tests.e2e.docker import docker, start
from tests.e2e.hosts import configs, documented
from tests.e2e.hosts.machine import Machine
from tests.e2e.hosts.three_hosts import AS_A_HOST

NODE, AGENT = "node-7", "zstack-kvmagent"  # as the pages have them
UNIT = f"{AGENT}.service"
_NETWORK, _SUBNET = "memleash-pages", "10.88.3.0/24"
_NODE_ADDRESS, _WATCH_ADDRESS = "10.88.3.7", "10.88.3.10"
_NAMES = {NODE: _NODE_ADDRESS, "prometheus": _WATCH_ADDRESS, "alertmanager": _WATCH_ADDRESS}
_CLONE = "~/memleash"


@dataclass(frozen=True, slots=True)
class Newcomer:
    """``node`` has an agent, ``watch`` has all the rest."""

    node: Machine
    watch: Machine

    def memleashctl(self, arguments: str) -> str:
        """Return what ``memleashctl`` prints for the one on call. Raises DockerFailed."""
        return _type(
            self.watch, f"memleashctl --token-file /etc/memleash/tokens/oncall {arguments}"
        )

    def scrape_targets(self, job: str) -> list[Json]:
        """Return the targets that Prometheus has of a job, each with its last scrape."""
        targets = get(f"http://{self.watch.address}:9090/api/v1/targets?state=active")
        return [each for each in targets["data"]["activeTargets"] if each["labels"]["job"] == job]

    def scraped(self, times: int) -> None:
        """Wait until Prometheus has read the host's exporter so many times more."""
        for _ in range(times):
            before = self.scrape_targets("memleash-exporter")
            wait_until("a scrape", partial(self._has_other_targets, before))

    def _has_other_targets(self, than: list[Json]) -> bool:
        return self.scrape_targets("memleash-exporter") != than

    def pings(self) -> int:
        """Return how many ICMP echo requests have reached the host's kernel since its boot."""
        counters = self.node.run("grep", "^Icmp:", "/proc/net/snmp").splitlines()
        names, values = (line.split() for line in counters)
        return int(values[names.index("InEchos")])

    def edit(self, path: str, *changes: tuple[str, str]) -> None:
        """Make each change (a pattern, what to put there) in one place of a file of ``watch``."""
        self.watch.container.write(path, _edited(self.watch.run("cat", path), *changes))


@contextmanager
def newcomer(image: str) -> Iterator[Newcomer]:
    """Run the two machines, on which everything was typed; none is there when this is left."""
    with ExitStack() as cleanup:
        docker("network", "create", "--subnet", _SUBNET, _NETWORK)
        cleanup.callback(docker, "network", "rm", _NETWORK)
        names = [f"--add-host={name}:{address}" for name, address in _NAMES.items()]
        machines = []
        for name, address in ((NODE, _NODE_ADDRESS), ("watch", _WATCH_ADDRESS)):
            place = ["--network", _NETWORK, "--ip", address, *names]
            container = start(name, image, [*AS_A_HOST, *place])
            cleanup.callback(container.remove)
            machines.append(Machine(container, _NETWORK, address))
        for machine in machines:
            machine.wait_booted()
        node, watch = machines
        node.container.write(
            f"/etc/systemd/system/{UNIT}", configs.SAMPLE_UNIT.replace("sample-agent", AGENT)
        )
        node.run("systemctl", "enable", "-q", "--now", UNIT)
        _install_exporter(node)
        _install_responder(watch)
        _let_the_responder_in(node, watch)
        _start_responder(watch)
        _wire_prometheus(watch)
        yield Newcomer(node, watch)


def _type(machine: Machine, commands: str, *, where: str = _CLONE, user: str = "root") -> str:
    """Type ``commands`` into one shell, which ends at the first that fails."""
    return machine.run("bash", "-e", "-o", "pipefail", "-c", f"cd {where}\n{commands}", user=user)


def _edited(text: str, *changes: tuple[str, str]) -> str:
    for pattern, by in changes:
        text, places = re.subn(pattern, by, text)
        assert places == 1, f"{pattern!r} stands in {places} places"
    return text


def _install_exporter(node: Machine) -> None:
    install = documented.block("operations.md", "apt-get install -y git")
    _type(node, "apt-get update -q\n" + install, where="~")
    settings = documented.block("operations.md", "agents:")
    limits = "    limits: {alarm_threshold: 96MiB, hard_limit: 192MiB}\n"
    node.container.write("/etc/memleash/exporter.yml", settings + limits)
    drop_in = configs.EXPORTER_DROP_IN.format(control_groups=node.control_groups())
    node.container.write("/etc/systemd/system/memleash-exporter.service.d/container.conf", drop_in)
    told = _type(node, documented.block("operations.md", "/opt/memleash/bin/memleash-exporter"))
    assert f'memleash_agent_up{{agent="{AGENT}"}} 1' in told


def _install_responder(watch: Machine) -> None:
    a_clone = documented.block("operations.md", "apt-get install -y git").splitlines()[:2]
    _type(watch, "\n".join(["apt-get update -q", *a_clone]), where="~")
    _type(watch, documented.block("operations.md", "useradd --system"))


def _let_the_responder_in(node: Machine, watch: Machine) -> None:
    _type(watch, documented.block("ssh.md", "ssh-keygen -t ed25519"))
    public = watch.run("cat", "/etc/memleash/id_ed25519.pub").strip()
    _type(node, documented.block("ssh.md", "useradd --system"), where="~")
    node.container.write("/etc/sudoers.d/memleash", documented.sudoers(UNIT), mode="440")
    node.run("visudo", "-c", "-q")
    line = _edited(
        documented.block("ssh.md", "restrict,from="),
        ('from="[^"]*"', f'from="{_WATCH_ADDRESS}"'),
        ("ssh-ed25519 .*", public),
    )
    keys = "/home/memleash/.ssh/authorized_keys"
    node.container.write(keys, line, mode="600", owner="memleash")
    _type(watch, documented.block("ssh.md", "ssh-keyscan"))
    by_hand = documented.block("ssh.md", "ssh -i /etc/memleash/id_ed25519")
    assert f"/usr/bin/systemctl restart {UNIT}" in _type(watch, by_hand, where="/", user="memleash")


def _start_responder(watch: Machine) -> None:
    inventory = _edited(
        documented.block("prometheus.md", "- targets: [10.0.0.1:10058]"),
        (r"10\.0\.0\.1:10058", f"{_NODE_ADDRESS}:10058"),
        (r"ssh_address: 10\.0\.0\.1", f"ssh_address: {NODE}"),
        ("host: kvm-01", f"host: {NODE}"),
    )
    watch.container.write("/etc/memleash/hosts/fleet.yml", inventory)
    settings = documented.block("operations.md", "prometheus: {url")
    watch.container.write("/etc/memleash/responder.yml", settings)
    _type(watch, documented.block("operations.md", "runuser -u memleash"))


def _wire_prometheus(watch: Machine) -> None:
    _type(watch, "cp rules/*.yml /etc/prometheus/; install -d /etc/alertmanager")
    for name, file in (
        ("prometheus", "/etc/prometheus/memleash-token"),
        ("alertmanager", "/etc/alertmanager/memleash-webhook-token"),
    ):
        owner = ("-o", "prometheus", "-m", "400")  # Debian runs both as this user
        watch.run("install", *owner, f"/etc/memleash/tokens/{name}", file)
    config = watch.run("cat", "/etc/prometheus/prometheus.yml")
    config = _edited(
        config.replace("15s", "5s").replace("scrape_timeout: 10s", "scrape_timeout: 5s"),
        (r"hosts/\*\.yml", "/etc/memleash/hosts/*.yml"),
        (r"# (authorization:\n +)#( +type: .*\n +)#( +credentials_file:)", r"\1\2\3"),
    )
    watch.container.write("/etc/prometheus/prometheus.yml", config)
    config = _edited(
        watch.run("cat", "/etc/prometheus/alertmanager.yml"),
        (
            r"# (http_config:\n +)#( +authorization:\n +)#( +credentials_file:)",
            r"\1\2\3",
        ),
    )
    watch.container.write("/etc/prometheus/alertmanager.yml", config)
    _type(watch, "promtool check config /etc/prometheus/prometheus.yml")
    watch.container.write(
        "/etc/default/prometheus-alertmanager", 'ARGS="--cluster.listen-address="\n'
    )
    services = ("prometheus-blackbox-exporter", "prometheus-alertmanager", "prometheus")
    watch.run("systemctl", "restart", *services)
