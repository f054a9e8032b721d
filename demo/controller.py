"""The sample controller: a management node that gives hosts tasks and takes them back.

    python -m demo.controller --listen 127.0.0.1:8080 --agent-url http://127.0.0.1:7070/host/echo

The protocol that memleash speaks:
    POST /hosts/{host}/drain            no new task begins on the host
    POST /hosts/{host}/undrain
    GET  /hosts/{host}/tasks            {"running": [...], "pending": [...]}; 404: not one of --host
    POST /reconnect {"host", "agent"}   200 once the agent answered; 502 when it does not
With --asynchronous-reconnect that is a 202 with a Location, which answers 202 until it is done.
--agent-url may contain {host}: each host's agent is asked by its own address.

For demos and tests:
    POST   /hosts/{host}/tasks {"id", "name", "state": "running"|"pending"}   409 when drained
    DELETE /hosts/{host}/tasks/{id}
    PUT    /faults {"tasks": 500}       answers that call so until it is PUT away; "hang": seconds
    GET    /calls                       every call of the protocol with its time, oldest first
"""

from __future__ import annotations

import argparse
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from http.server import ThreadingHTTPServer

from demo.json_server import Answer, Handler, Json, Refusal, Request, Routes, listen

_STATES = ("running", "pending")
_PROTOCOL = ("drain", "undrain", "tasks", "reconnect")


class Controller:
    """The hosts' tasks, which of the hosts are drained, and the calls that came."""

    def __init__(
        self,
        probe_agent: Callable[[str], bool],
        *,
        asynchronous: bool = False,
        hosts: Collection[str] = (),
    ) -> None:
        """Without ``hosts`` it knows every host that it is asked about."""
        self._hosts = hosts
        self._probe_agent = probe_agent
        self._asynchronous = asynchronous
        self._lock = threading.Lock()
        self._tasks: dict[str, dict[str, Json]] = {}
        self._drained: set[str] = set()
        self._faults: dict[str, Json] = {}
        self._calls: list[dict[str, Json]] = []

    def routes(self) -> Routes:
        host = r"/hosts/(?P<host>[^/]+)"
        return {
            ("POST", f"{host}/drain"): self._protocol("drain", self._drain),
            ("POST", f"{host}/undrain"): self._protocol("undrain", self._undrain),
            ("GET", f"{host}/tasks"): self._protocol("tasks", self._list_tasks),
            ("POST", "/reconnect"): self._protocol("reconnect", self._reconnect),
            ("GET", r"/reconnects/(?P<host>[^/]+)"): self._reconnect_status,
            ("POST", f"{host}/tasks"): self._begin_task,
            ("DELETE", f"{host}/tasks/(?P<id>[^/]+)"): self._end_task,
            ("PUT", "/faults"): self._set_faults,
            ("GET", "/calls"): lambda _: Answer(list(self._calls)),
        }

    def _protocol(self, name: str, handle: Handler) -> Handler:
        """Return ``handle`` with its calls recorded, and its fault, if one is set, in its place."""

        def recorded(request: Request) -> Answer:
            at = datetime.now(UTC).isoformat()
            self._calls.append({"at": at, "call": name, "path": request.path, "body": request.body})
            time.sleep(self._faults.get("hang", 0) if name in self._faults else 0)
            if name in self._faults:
                raise Refusal(int(self._faults[name]), f"{name} was told to fail")
            return handle(request)

        return recorded

    def _drain(self, request: Request) -> Answer:
        with self._lock:
            self._drained.add(request.names["host"])
        return Answer({"drained": True})

    def _undrain(self, request: Request) -> Answer:
        with self._lock:
            self._drained.discard(request.names["host"])
        return Answer({"drained": False})

    def _list_tasks(self, request: Request) -> Answer:
        host = request.names["host"]
        if self._hosts and host not in self._hosts:
            raise Refusal(404, f"no host {host}")
        with self._lock:
            tasks = self._tasks.get(host, {})
            return Answer(
                {
                    state: [
                        {"id": task["id"], "name": task["name"]}
                        for task in tasks.values()
                        if task["state"] == state
                    ]
                    for state in _STATES
                }
            )

    def _begin_task(self, request: Request) -> Answer:
        body = request.body if isinstance(request.body, dict) else {}
        task = {
            "id": str(body.get("id", "task-1")),
            "name": str(body.get("name", "a task")),
            "state": body.get("state", "running"),
        }
        if task["state"] not in _STATES:
            raise Refusal(400, f"state must be one of {', '.join(_STATES)}")
        host = request.names["host"]
        with self._lock:
            if host in self._drained and task["state"] == "running":
                raise Refusal(409, f"{host} is drained: it gets no new task")
            self._tasks.setdefault(host, {})[task["id"]] = task
        return Answer(task, 201)

    def _end_task(self, request: Request) -> Answer:
        with self._lock:
            ended = self._tasks.get(request.names["host"], {}).pop(request.names["id"], None)
        if ended is None:
            raise Refusal(404, f"no task {request.names['id']} on {request.names['host']}")
        return Answer(ended)

    def _reconnect(self, request: Request) -> Answer:
        if not isinstance(request.body, dict) or not {"host", "agent"} <= request.body.keys():
            raise Refusal(400, "give host and agent")
        host = str(request.body["host"])
        if self._asynchronous:
            return _still_connecting(host)
        if not self._probe_agent(host):
            raise Refusal(502, "the agent does not answer")
        return Answer({"state": "connected"})

    def _reconnect_status(self, request: Request) -> Answer:
        host = request.names["host"]
        if self._probe_agent(host):
            return Answer({"state": "connected"})
        return _still_connecting(host)

    def _set_faults(self, request: Request) -> Answer:
        faults = request.body
        if not isinstance(faults, dict) or not faults.keys() <= {*_PROTOCOL, "hang"}:
            raise Refusal(400, f"name any of {', '.join(_PROTOCOL)}, hang")
        self._faults = faults
        return Answer(faults)


def _still_connecting(host: str) -> Answer:
    return Answer({"state": "connecting"}, 202, {"Location": f"/reconnects/{host}"})


def answers(url: str) -> bool:
    """Return whether ``url`` answers 200 within two seconds."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description="memleash's sample controller")
    parser.add_argument("--listen", default="127.0.0.1:8080", metavar="HOST:PORT")
    parser.add_argument("--agent-url", required=True, help="what a reconnected agent answers")
    parser.add_argument("--asynchronous-reconnect", action="store_true")
    parser.add_argument("--host", action="append", default=[], help="all that it knows; or any")
    options = parser.parse_args()
    controller = Controller(
        lambda host: answers(options.agent_url.replace("{host}", host)),
        asynchronous=options.asynchronous_reconnect,
        hosts=options.host,
    )
    listen(options.listen, controller.routes(), ThreadingHTTPServer).serve_forever()


if __name__ == "__main__":
    main()
