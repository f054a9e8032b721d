"""The whole guarded restart of a kvmagent, with the kind zstack.

ZStack is a double made from its sources; sshd, exporter, agent and responder are real processes.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.stack.http import answers, post
from demo.stack.loopback_hosts import PATIENT, Fleet, Member, running
from demo.stack.processes import wait_until
from demo.stack.responder import Responder
from tests.support.zstack.rest import KEY_ID, KEY_SECRET
from tests.support.zstack.server import Zstack

pytestmark = pytest.mark.integration

SCRIPT = Path(__file__).parents[2] / "support/zstack/zstack-kvmagent"
HOSTS = ("kvm-1", "kvm-2")
SLOW_START = ("--start-delay", "1.5")
"""Lives that begin within a second of each other count as one."""


class Site:
    """Two hosts with a kvmagent each, and the ZStack that they belong to."""

    def __init__(self, fleet: Fleet, zstack: Zstack, url: str) -> None:
        self.fleet, self.zstack = fleet, zstack
        self.uuids = {str(one["name"]): host_uuid for host_uuid, one in zstack.hosts.items()}
        (fleet.folder / "zstack.key").write_text(f"{KEY_ID}:{KEY_SECRET}\n", encoding="ascii")
        self._controller = {
            "name": "cloud",
            "kind": "zstack",
            "url": url,
            "access_key_file": str(fleet.folder / "zstack.key"),
            "host_label": "zstack_uuid",
            "timeout": "60s",
        }

    def responder(self, name: str) -> contextlib.AbstractContextManager[Responder]:
        reports = {"folder": str(self.fleet.folder / "reports")}
        return self.fleet.responder(name, controllers=[self._controller], reports=reports)

    def host(self, name: str) -> dict[str, Any]:
        return self.zstack.hosts[self.uuids[name]]

    def told(self, host: str) -> list[str]:
        """Return what changes ZStack was asked for, by action."""
        about = (f"/hosts/{self.uuids[host]}/actions", "/user-tags", "/tags/")
        return [
            one.replace(self.uuids[host], "U").partition("/tags/")[0]
            for one in self.zstack.asked
            if not one.startswith("GET ") and any(path in one for path in about)
        ]


def diagnose(folder: Path, name: str) -> dict[str, Any]:
    """Return how evidence is asked of an agent: its own dump alone."""
    return {
        "discover": {"pidfile": str(folder / "services" / name / "agent.pid")},
        "profile": "none",
        "rounds": 1,
        "interval": "1s",
        "signal": {"name": "USR2", "log": str(folder / f"{name}.log")},
        "python": sys.executable,
        "min_free_disk": "1MiB",
        "work_folder": str(folder / "work"),
        "busy_folder": str(folder / "busy"),
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    zstack, folder = Zstack(), tmp_path_factory.mktemp("zstack")
    members = [
        Member(
            name,
            program="tests.support.zstack.kvmagent",
            script=SCRIPT,
            agent_flags=(*SLOW_START, "--log", str(folder / f"{name}.log")),
            settings={"diagnose": diagnose(folder, name)},
            labels={"zstack_uuid": zstack.add_host(name)},
        )
        for name in HOSTS
    ]
    with running(folder, members, patience=PATIENT) as fleet, zstack.served() as url:
        names = {host_uuid: str(one["name"]) for host_uuid, one in zstack.hosts.items()}
        zstack.answers = lambda host: answers(fleet.agent_url(names[host]) + "/host/echo")
        zstack.restart_agent = lambda host: fleet.serve(names[host], "restart")
        fleet.start_agents(fleet.members)
        yield Site(fleet, zstack, url)


def test_a_kvmagent_is_restarted_once_its_host_has_no_task_left(site: Site) -> None:
    """ZStack's ansible restarts it once more in the reconnect, which is success."""
    site.zstack.ansible_restarts = True
    site.zstack.run(site.uuids["kvm-1"], "attach-data-volume")
    with site.responder("whole") as responder:
        responder.program.start()
        responder.alert("kvm-1")
        refused = responder.finished("kvm-1")
        assert refused["outcome"] == "tasks_running"
        assert "cloud: attach-data-volume" in refused["reason"]
        assert site.fleet.starts("kvm-1") == 1
        assert site.host("kvm-1")["state"] == "Enabled"
        assert site.zstack.tags == {}

        site.zstack.running.clear()
        site.zstack.asked.clear()
        responder.alert("kvm-1")
        wait_until(
            "another request",
            lambda: responder.at("kvm-1", "id") != refused["id"],
            timeout_seconds=90,
        )
        restarted = responder.finished("kvm-1")
        assert restarted["outcome"] == "restarted", restarted
        assert "once more" in restarted["reason"]
    assert site.fleet.starts("kvm-1") == 3
    assert site.host("kvm-1")["status"] == "Connected"
    assert site.told("kvm-1") == [
        "POST /user-tags",
        "PUT /hosts/U/actions",
        "PUT /hosts/U/actions",
        "PUT /hosts/U/actions",
        "DELETE ",
    ]
    assert_given_back(site, "kvm-1")


def test_the_agents_own_dump_is_evidence(site: Site) -> None:
    with site.responder("evidence") as responder:
        responder.program.start()
        asked = post(f"{responder.url}/api/v1/diagnoses", {"host": "kvm-2", "agent": "kvm-2"})
        wait_until(
            "the diagnosis to end",
            lambda: responder.get(f"/api/v1/diagnoses/{asked['id']}")["outcome"],
            timeout_seconds=90,
            seen=responder.program.log_end,
        )
    files = [one for one in (site.fleet.folder / "reports").rglob("*") if one.is_file()]
    told = b"".join(one.read_bytes() for one in files)
    assert b"thread MainThread" in told
    assert b"types:" in told


def test_a_responder_that_dies_waits_for_the_reconnect_that_it_had_begun(site: Site) -> None:
    site.zstack.ansible_restarts = False
    before = site.zstack.reconnects
    with site.responder("crash") as responder:
        responder.start(dies_at="after:ControllerClients.reconnect")
        responder.alert("kvm-2")
        responder.wait_dead()
        assert site.host("kvm-2")["state"] == "Disabled"
        responder.start()
        assert responder.finished("kvm-2")["outcome"] == "restarted"
    assert site.fleet.starts("kvm-2") == 2
    assert site.zstack.reconnects == before + 1
    assert_given_back(site, "kvm-2")


def assert_given_back(site: Site, host: str) -> None:
    assert site.host(host)["state"] == "Enabled"
    assert site.zstack.tags == {}
    assert site.zstack.left_maintenance == []
