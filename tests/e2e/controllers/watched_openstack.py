"""The OpenStack's host as docs/controllers.md has it watched, and the machine that watches.

The files are those of the recipe. Addresses, a pace for tests and small limits are put into them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import yaml

from demo.stack.http import get
from tests.e2e.controllers.openstack import HOST, NETWORK, PASSWORD, PROJECT, USER, OpenStack
from tests.e2e.docker import start
from tests.e2e.hosts import configs, documented
from tests.e2e.hosts.machine import Machine
from tests.e2e.hosts.three_hosts import AS_A_HOST, Fleet

AGENT = "nova-compute"
LIMIT_BYTES = 320 * configs.MIB
_RECIPE = "nova, from the host to the controller"
_ADDRESS = "10.88.4.10"
_WEBHOOK_TOKEN = "webhook-of-the-tests"


@contextlib.contextmanager
def watched(openstack: OpenStack, control_image: str) -> Iterator[Fleet]:
    """Run the machine that watches, and have it watch."""
    names = ["--add-host", f"{HOST}:{openstack.machine.address}"]
    place = ["--network", NETWORK, "--ip", _ADDRESS, *names]
    container = start("control", control_image, [*AS_A_HOST, *place])
    try:
        control = Machine(container, NETWORK, _ADDRESS)
        control.wait_booted()
        fleet = Fleet({"control": control, HOST: openstack.machine})
        _set_up_host(openstack.machine)
        _set_up_control(control, openstack)
        fleet.until("the responder", lambda: get(fleet.url(10059, "/-/ready")))
        fleet.until("the host", lambda: fleet.query("memleash_agent_ready == 1"))
        fleet.until("its state", lambda: fleet.state(HOST) == "connected")
        yield fleet
    finally:
        container.remove()


def _set_up_host(machine: Machine) -> None:
    write = machine.container.write
    write("/etc/sudoers.d/memleash", documented.recipe_sudoers(_RECIPE), mode="440")
    machine.run("visudo", "-c", "-q")
    exporter = yaml.safe_load(documented.recipe(_RECIPE)["exporter.yml"])
    exporter["agents"][0]["limits"] = {"alarm_threshold": "240MiB", "hard_limit": LIMIT_BYTES}
    write("/etc/memleash/exporter.yml", yaml.safe_dump(exporter))
    drop_in = configs.EXPORTER_DROP_IN.format(control_groups=machine.control_groups())
    write("/etc/systemd/system/memleash-exporter.service.d/container.conf", drop_in)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "memleash-exporter.service")


def _set_up_control(control: Machine, openstack: OpenStack) -> None:
    write, machine = control.container.write, openstack.machine
    control.run("install", "-d", "-o", "memleash", "-g", "memleash", "/etc/memleash")
    key = "/etc/memleash/id_ed25519"
    control.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key, user="memleash")
    public = control.run("cat", f"{key}.pub").strip()
    line = documented.authorized_key(public, forced=False)
    machine.container.write("/home/memleash/.ssh/authorized_keys", line, owner="memleash")
    host_key = machine.run("cat", "/etc/ssh/ssh_host_ed25519_key.pub").strip()
    write("/etc/memleash/known_hosts", f"{machine.address} {host_key}\n", owner="memleash")
    mine = {"mode": "640", "owner": "memleash"}
    write("/etc/memleash/nova.password", PASSWORD, **mine)
    write("/etc/memleash/webhook-token", _WEBHOOK_TOKEN)
    write("/etc/memleash/responder.yml", _responder(openstack), **mine)
    write("/etc/memleash/hosts/nova.yml", _inventory(machine))
    write("/etc/memleash/hosts.yml", _inventory(machine))  # where Prometheus looks
    for name, text in configs.rules().items():
        write(f"/etc/prometheus/rules/{name}", text)
    write("/etc/prometheus/prometheus.yml", configs.prometheus())
    write("/etc/prometheus/alertmanager.yml", configs.alertmanager("/etc/memleash/webhook-token"))
    write("/etc/default/prometheus-alertmanager", 'ARGS="--cluster.listen-address="\n')
    control.run("systemctl", "daemon-reload")
    control.run("systemctl", "start", "prometheus-alertmanager", "memleash-responder", "prometheus")


def _inventory(machine: Machine) -> str:
    """Return the first host of the recipe's inventory, which has its name, at its address."""
    host, *_ = yaml.safe_load(documented.recipe(_RECIPE)["hosts/nova.yml"])
    assert host["labels"]["host"] == HOST
    host["targets"] = [f"{machine.address}:10058"]
    host["labels"]["ssh_address"] = machine.address
    return yaml.safe_dump([host])


def _responder(openstack: OpenStack) -> str:
    config = yaml.safe_load(documented.recipe(_RECIPE)["responder.yml"])
    config["prometheus"] = {"url": "http://127.0.0.1:9090"}
    config["alertmanager"] = {"urls": ["http://127.0.0.1:9093"]}
    config["database"] = "sqlite:////var/lib/memleash/responder.db"
    (nova,) = config["controllers"]
    nova |= {"auth_url": openstack.keystone, "username": USER, "project_name": PROJECT}
    nova["timeout"] = "30s"
    guards = {
        "startup_grace": "1s",
        "cooldown": "1s",
        "wait_for_idle": "1m",
        "idle_interval": "1s",
        "retry_after": "3s",
    }
    config["agents"][AGENT] |= {"mode": "enforce", "guards": guards}
    config["fleet"] = {"storm_fraction": 1}
    tokens = [{"name": "alertmanager", "role": "webhook", "file": "/etc/memleash/webhook-token"}]
    config["access"] = {"anonymous": "read", "tokens": tokens}
    return yaml.safe_dump(config, sort_keys=False)
