"""A nova for tests, which can be made to do what a real one does seldom.

Its answers are those that nova 26.2.2 gave at microversion 2.53, less fields that nobody reads.
tests/e2e/controllers/test_nova.py holds the same suite against that one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import re
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from typing import Any

from demo.http_server import Raw, Reply, Request, as_json, serving
from tests.support.nova.keystone import Json, Keystone

FIXED_TOKEN = "admin:admin"
UNREACHABLE = "http://172.31.255.254:8774"
"""The address of its own that it puts into links."""


@dataclasses.dataclass(slots=True)
class Faults:
    """What it does wrong, by default nothing."""

    halves: set[str] = dataclasses.field(default_factory=set)
    """Keys that are left out of every answer of nova's, wherever they stand."""
    hang: bool = False
    seconds: float = 0.0
    """How long each answer takes."""
    unanswered_puts: int = 0
    """So many changes are made, and not answered."""
    refused_puts: bool = False
    """Changes are answered with 500, and not made."""
    is_cell_down: bool = False
    """What is in the cell of the hosts is left out of all lists."""


class Nova:
    """Nova and Keystone behind one address."""

    def __init__(self) -> None:
        self.keystone = Keystone()
        self.faults = Faults()
        self.services: dict[str, Json] = {}
        self.servers: list[Json] = []
        self.migrations: list[Json] = []
        self.largest_page = 1000
        self.asked: list[str] = []
        self.asks_per_report = 1
        """After so many questions about a service it has reported once more."""
        self.reports_left = 10**6
        self._url = ""

    @contextlib.contextmanager
    def served(self) -> Iterator[str]:
        """Serve it on a free port; yield its URL. Keystone is at /v3, nova at /v2.1."""
        with serving(self.answer) as served:
            self._url = served.url
            yield served.url

    # -- what is so -------------------------------------------------------------------------------

    def add_host(self, name: str) -> None:
        self.services[name] = {
            "id": str(uuid.uuid4()),
            "binary": "nova-compute",
            "host": name,
            "zone": "nova",
            "status": "enabled",
            "state": "up",
            "disabled_reason": None,
            "forced_down": False,
            "updated_at": "2026-11-27T16:25:31.000000",
        }

    def add_server(self, name: str, host: str | None, task_state: str | None = None) -> str:
        server = {
            "id": str(uuid.uuid4()),
            "name": name,
            "status": "ACTIVE",
            "OS-EXT-STS:task_state": task_state,
            "OS-EXT-SRV-ATTR:host": host,
        }
        self.servers.append(server)
        return str(server["id"])

    def add_migration(self, status: str, source: str, dest: str) -> str:
        migration = {
            "id": len(self.migrations) + 1,
            "instance_uuid": str(uuid.uuid4()),
            "migration_type": "live-migration",
            "status": status,
            "source_compute": source,
            "dest_compute": dest,
        }
        self.migrations.append(migration)
        return str(migration["instance_uuid"])

    def report(self, host: str) -> None:
        """Save the service, as its own reports do, and each change of it."""
        service = self.services[host]
        saved = datetime.datetime.fromisoformat(service["updated_at"])
        later = saved + datetime.timedelta(seconds=10)
        service["updated_at"] = later.isoformat(timespec="microseconds")

    # -- how it is asked --------------------------------------------------------------------------

    def answer(self, request: Request) -> Reply | Raw:
        self.asked.append(f"{request.method} {request.route}")
        if self.faults.hang:
            return Raw(hang=True)
        time.sleep(self.faults.seconds)
        if (request.method, request.route) == ("POST", "/v3/auth/tokens"):
            return self.keystone.log_in(request.json(), self._url)
        token = request.headers.get("X-Auth-Token")
        if token != FIXED_TOKEN and not self.keystone.takes(token):
            return Reply(401, b"Authentication required", {"Content-Type": "text/plain"})
        if request.headers.get("OpenStack-API-Version") != "compute 2.53":
            return as_json({"computeFault": {"code": 406, "message": "not this version"}}, 406)
        return self._nova(request, request.route.removeprefix("/internal").removeprefix("/v2.1"))

    def _nova(self, request: Request, path: str) -> Reply | Raw:
        query = dict(urllib.parse.parse_qsl(request.query))
        put = re.fullmatch(r"/os-services/([0-9a-f-]{36})", path)
        match request.method, path:
            case "GET", "/os-services":
                found = self._services(query)
            case "GET", "/servers/detail":
                found = self._servers(query)
            case "GET", "/os-migrations":
                found = self._migrations(query)
            case "PUT", _ if put:
                return self._put(put[1], request.json())
            case _:
                return as_json({"itemNotFound": {"code": 404, "message": "no such path"}}, 404)
        return as_json(self._halved(found))

    def _halved(self, value: Any) -> Any:
        if isinstance(value, dict):
            kept = {key: one for key, one in value.items() if key not in self.faults.halves}
            return {key: self._halved(one) for key, one in kept.items()}
        return [self._halved(one) for one in value] if isinstance(value, list) else value

    def _services(self, query: Json) -> Json:
        hosts = [] if self.faults.is_cell_down else list(self.services)
        found = [host for host in hosts if query.get("host", host) == host]
        for host in found:
            asks = self.asked.count("GET /v2.1/os-services")
            if self.reports_left and asks % self.asks_per_report == 0:
                self.reports_left -= 1
                self.report(host)
        return {"services": [dict(self.services[host]) for host in found]}

    def _servers(self, query: Json) -> Json:
        assert query["all_tenants"] == "1"
        found = [one for one in self.servers if one["OS-EXT-SRV-ATTR:host"] == query["host"]]
        if self.faults.is_cell_down:
            found = []
        if "marker" in query:
            ids = [one["id"] for one in found]
            found = found[ids.index(query["marker"]) + 1 :]
        limit = min(int(query.get("limit", self.largest_page)), self.largest_page)
        page = found[:limit]
        if len(page) < limit:
            return {"servers": page}
        following = {**query, "marker": page[-1]["id"]}
        href = f"{UNREACHABLE}/v2.1/servers/detail?{urllib.parse.urlencode(following)}"
        return {"servers": page, "servers_links": [{"rel": "next", "href": href}]}

    def _migrations(self, query: Json) -> Json:
        if self.faults.is_cell_down:
            return {"migrations": []}
        ends = ("source_compute", "dest_compute")
        return {
            "migrations": [
                one for one in self.migrations if query["host"] in [one[end] for end in ends]
            ]
        }

    def _put(self, service_id: str, body: Json) -> Reply | Raw:
        (service,) = (one for one in self.services.values() if one["id"] == service_id)
        if body["status"] == "enabled" and body.get("disabled_reason"):
            return as_json({"badRequest": {"code": 400, "message": "invalid"}}, 400)
        if self.faults.refused_puts:
            return as_json({"computeFault": {"code": 500, "message": "Unexpected API Error"}}, 500)
        service["status"] = body["status"]
        service["disabled_reason"] = body.get("disabled_reason")
        self.report(service["host"])
        if self.faults.unanswered_puts:
            self.faults.unanswered_puts -= 1
            return Raw(hang=True)
        return as_json({"service": dict(service)})
