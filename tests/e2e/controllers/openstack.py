"""A real OpenStack in one container: Keystone, nova with two computes, and what they rest on.

``kvm-1`` is the host, whose nova-compute is Debian's unit; ``kvm-2`` is a second one beside it,
which servers migrate to. Both have nova's fake driver, so a server is a record of nova's alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from demo.stack.processes import wait_until
from tests.e2e.docker import docker, start
from tests.e2e.hosts.machine import Machine
from tests.e2e.hosts.three_hosts import AS_A_HOST

HOST, OTHER_HOST = "kvm-1", "kvm-2"
UNIT = "nova-compute.service"
NETWORK = "memleash-nova"
USER, PASSWORD, PROJECT, REGION = "memleash", "a password", "admin", "RegionOne"
_SUBNET, _ADDRESS = "10.88.4.0/24", "10.88.4.21"
_BEGIN_FIRST = ("mariadb", "rabbitmq-server", "keystone", "neighbours")
_THEN = ("placement-api", "nova-api", "nova-conductor", "nova-scheduler")
_COMPUTES = ("nova-compute", "nova-compute-2")
_DEFAULT = {"name": "Default"}
_ADMIN = {"name": "admin", "domain": _DEFAULT}
_PATIENCE_SECONDS = 600
_FERNET = "/etc/keystone/fernet-keys"
_NEW_KEYS = f"""\
for key in 0 1; do
    head -c 32 /dev/urandom | base64 | tr +/ -_ >{_FERNET}/new
    cat {_FERNET}/new >{_FERNET}/$key
done
"""

Json = dict[str, Any]


class OpenStack:
    """What its administrator sees and does."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.keystone = f"http://{machine.address}:5000/v3"
        self.nova = f"http://{machine.address}:8774/v2.1"
        self._session = requests.Session()
        self._session.trust_env = False
        # uwsgi resets a connection now and then.
        again = HTTPAdapter(max_retries=Retry(5, backoff_factor=0.2))
        self._session.mount("http://", again)
        self._session.headers["Connection"] = "close"

    def ask(self, method: str, url: str, body: object = None) -> Json:
        """Return what Keystone or nova answers."""
        answer = self._session.request(method, url, json=body, timeout=120)
        if answer.status_code == 401:
            self.log_in()
            answer = self._session.request(method, url, json=body, timeout=120)
        answer.raise_for_status()
        return dict(answer.json()) if answer.content else {}

    def log_in(self) -> None:
        user = {**_ADMIN, "password": "secret"}
        identity = {"methods": ["password"], "password": {"user": user}}
        body = {"auth": {"identity": identity, "scope": {"project": _ADMIN}}}
        answer = self._session.post(f"{self.keystone}/auth/tokens", json=body, timeout=120)
        answer.raise_for_status()
        self._session.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]
        self._session.headers["OpenStack-API-Version"] = "compute 2.53"

    # -- accounts ---------------------------------------------------------------------------------

    def set_up(self) -> None:
        """Put nova into the catalog; make memleash's account, and a flavor."""
        self.until("Keystone", self._logs_in)
        new = self.ask("POST", f"{self.keystone}/services", {"service": {"type": "compute"}})
        endpoint = {
            "interface": "public",
            "region_id": REGION,
            "url": self.nova,
            "service_id": new["service"]["id"],
        }
        self.ask("POST", f"{self.keystone}/endpoints", {"endpoint": endpoint})
        project = self._id_of("projects", PROJECT)
        user = {"name": USER, "password": PASSWORD, "domain_id": "default"}
        user_id = self.ask("POST", f"{self.keystone}/users", {"user": user})["user"]["id"]
        self.ask("POST", f"{self.keystone}/roles", {"role": {"name": "memleash"}})
        for role in ("reader", "memleash"):
            grant = f"projects/{project}/users/{user_id}/roles/{self._id_of('roles', role)}"
            self.ask("PUT", f"{self.keystone}/{grant}")
        self.until("nova", lambda: bool(self.ask("GET", f"{self.nova}/flavors")))
        flavor = {"name": "small", "id": "1", "ram": 64, "vcpus": 1, "disk": 0}
        self.ask("POST", f"{self.nova}/flavors", {"flavor": flavor})

    def _logs_in(self) -> bool:
        self.log_in()
        return True

    def _id_of(self, kind: str, name: str) -> str:
        (one,) = self.ask("GET", f"{self.keystone}/{kind}?name={name}")[kind]
        return str(one["id"])

    def token(self) -> str:
        """Return a token of the administrator's."""
        self.log_in()
        return str(self._session.headers["X-Auth-Token"])

    def application_credential(self) -> tuple[str, str]:
        """Return the id and the secret of one of the administrator's."""
        user = self._id_of("users", "admin")
        body = {"application_credential": {"name": "memleash"}}
        url = f"{self.keystone}/users/{user}/application_credentials"
        made = self.ask("POST", url, body)["application_credential"]
        return str(made["id"]), str(made["secret"])

    def expire_tokens(self) -> None:
        """Have Keystone know none of the tokens that it gave."""
        self.machine.run("sh", "-c", _NEW_KEYS)

    # -- the compute service ----------------------------------------------------------------------

    def service(self, host: str = HOST) -> Json:
        """Return the compute service of a host; an empty one where there is none."""
        url = f"{self.nova}/os-services?binary=nova-compute&host={host}"
        return dict(next(iter(self.ask("GET", url)["services"]), {}))

    def is_up(self, host: str) -> bool:
        return self.service(host).get("state") == "up"

    def change(self, **changes: object) -> None:
        """Change the compute service of the host."""
        self.ask("PUT", f"{self.nova}/os-services/{self.service()['id']}", changes)

    def signal(self, signal: str, *units: str) -> None:
        """Send a signal to all processes of units."""
        self.machine.run("systemctl", "kill", "--signal", signal, *units)

    # -- servers ----------------------------------------------------------------------------------

    def create(self, name: str, host: str = HOST) -> str:
        """Have a server built on a host; return its id."""
        server = {
            "name": name,
            "imageRef": "a2b1b0e4-9a5c-4c6e-8b59-0d3a1d5d8c11",
            "flavorRef": "1",
            "networks": "none",
            "availability_zone": f"nova:{host}",
        }
        return str(self.ask("POST", f"{self.nova}/servers", {"server": server})["server"]["id"])

    def boot(self, name: str, host: str = HOST) -> str:
        """Return the id of a server that runs on a host."""
        server = self.create(name, host)
        self.until("the server to run", lambda: self.server(server)["status"] == "ACTIVE")
        assert self.server(server)["OS-EXT-SRV-ATTR:host"] == host
        return server

    def server(self, server: str) -> Json:
        return dict(self.ask("GET", f"{self.nova}/servers/{server}")["server"])

    def migrate_live(self, server: str, dest: str = OTHER_HOST) -> None:
        """Begin a live migration, and return once the driver is in it."""
        body = {"os-migrateLive": {"host": dest, "block_migration": False}}
        self.ask("POST", f"{self.nova}/servers/{server}/action", body)
        self.until("the migration to run", lambda: "running" in self.migrations(server))

    def migrations(self, server: str) -> list[str]:
        """Return the statuses of a server's migrations."""
        listed = self.ask("GET", f"{self.nova}/os-migrations?instance_uuid={server}")
        return [str(one["status"]) for one in listed["migrations"]]

    def delete_all(self) -> None:
        url = f"{self.nova}/servers/detail?all_tenants=1"
        for one in self.ask("GET", url)["servers"]:
            with contextlib.suppress(requests.HTTPError):  # gone meanwhile
                self.ask("DELETE", f"{self.nova}/servers/{one['id']}")

    def has_none(self) -> bool:
        return not self.ask("GET", f"{self.nova}/servers/detail?all_tenants=1")["servers"]

    # -- what lasts -------------------------------------------------------------------------------

    def hold(self) -> None:
        """Let the driver's migrations and reboots last."""
        self.machine.run("touch", "/run/hold")

    def let_go(self) -> None:
        self.machine.run("rm", "-f", "/run/hold")

    def tidy(self) -> None:
        """End what a test left: no servers, nobody stopped, the host enabled and up."""
        self.let_go()
        self.signal("CONT", *_THEN, *_COMPUTES)
        self.until("its own answers", lambda: bool(self.service()))
        self.change(status="enabled", forced_down=False)
        self.until("the host to be up", lambda: self.service()["state"] == "up")

        def emptied() -> bool:
            self.delete_all()
            return self.has_none()

        self.until("no servers", emptied)

    def until(self, what: str, look: Callable[[], bool]) -> None:
        """Wait for ``look``, through answers that do not come."""

        def patient() -> bool:
            with contextlib.suppress(requests.RequestException):
                return look()
            return False

        wait_until(what, patient, timeout_seconds=_PATIENCE_SECONDS)


@contextlib.contextmanager
def running(image: str) -> Iterator[OpenStack]:
    """Run it; it is not there any more when this is left."""
    with contextlib.ExitStack() as cleanup:
        docker("network", "create", "--subnet", _SUBNET, NETWORK)
        cleanup.callback(docker, "network", "rm", NETWORK)
        container = start(HOST, image, [*AS_A_HOST, "--network", NETWORK, "--ip", _ADDRESS])
        cleanup.callback(container.remove)
        machine = Machine(container, NETWORK, _ADDRESS)
        machine.wait_booted()
        machine.run("systemctl", "start", *_BEGIN_FIRST)
        machine.run("systemctl", "start", "--no-block", *_THEN, *_COMPUTES)
        openstack = OpenStack(machine)
        openstack.set_up()
        for host in (HOST, OTHER_HOST):
            openstack.until(f"{host} to be up", partial(openstack.is_up, host))
        yield openstack
