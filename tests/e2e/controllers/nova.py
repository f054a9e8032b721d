"""A real nova, as the conformance suite needs it."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

from memleash_responder.controller_settings import NovaSettings
from memleash_responder.core.facts import Host
from memleash_toolkit.values import Duration
from tests.e2e.controllers.openstack import HOST, PASSWORD, PROJECT, REGION, USER, OpenStack

_HANGS_AFTER = Duration(2)
_TABLES = ("services", "instances", "migrations")
_A_WHILE_SECONDS = 4.0


class NovaDriver:
    """One host, asked about by an account that has the rights that the documentation names."""

    def __init__(self, openstack: OpenStack, folder: Path) -> None:
        self.openstack = openstack
        password = folder / "password"
        password.write_text(f"{PASSWORD}\n", encoding="utf-8")
        self.settings = NovaSettings(
            "openstack",
            timeout=Duration(60),
            auth_url=openstack.keystone,
            username=USER,
            password_file=password,
            project_name=PROJECT,
            region_name=REGION,
        )
        self.host = Host(HOST, "127.0.0.1:1", HOST, {"host": HOST})
        self.unknown = Host("kvm-9", "127.0.0.1:1", "kvm-9", {"host": "kvm-9"})

    def run_task(self, name: str) -> None:
        """Let a live migration run, which lasts until it is let go."""
        server = self.openstack.boot(name)
        self.openstack.hold()
        self.openstack.migrate_live(server)

    def queue_task(self) -> None:
        """Let a server wait for nova-scheduler to place it."""
        self.openstack.signal("STOP", "nova-scheduler")
        self.openstack.create("vm-8")

    def is_drained(self) -> bool:
        return str(self.openstack.service()["status"]) == "disabled"

    def drain_by_somebody(self) -> None:
        """Disable it in nova-compute's own words."""
        self.openstack.change(
            status="disabled", disabled_reason="AUTO: Connection to libvirt lost: 1"
        )

    def begin_maintenance(self) -> None:
        self.openstack.change(status="disabled", disabled_reason="a new kernel")

    def is_in_maintenance(self) -> bool:
        service = self.openstack.service()
        return (service["status"], service["disabled_reason"]) == ("disabled", "a new kernel")

    def kill_node(self) -> None:
        """Have nova lose what it knows of its hosts: the tables are away."""
        self.rename_tables("{0}", "{0}_away")

    def rename_tables(self, old: str, new: str) -> None:
        pairs = ", ".join(
            f"nova.{old.format(table)} TO nova.{new.format(table)}" for table in _TABLES
        )
        self.openstack.machine.run("mysql", "-e", f"RENAME TABLE {pairs}")

    def hang(self) -> None:
        self.settings = dataclasses.replace(self.settings, timeout=_HANGS_AFTER)
        self.openstack.signal("STOP", "nova-api")

    def slow_down(self) -> None:
        """Do nothing: the double does."""

    def expire_login(self) -> None:
        self.openstack.expire_tokens()

    def halve_answers(self) -> None:
        """Do nothing: the double does."""

    def take_long(self) -> None:
        """Stop nova-compute for a while."""
        self.openstack.signal("STOP", "nova-compute")
        later = threading.Timer(_A_WHILE_SECONDS, self.openstack.signal, ("CONT", "nova-compute"))
        later.start()

    def refuse_reconnects(self) -> None:
        """Do nothing: nobody is asked."""

    def restart_agent_on_reconnect(self) -> None:
        """Do nothing: nobody is asked."""

    def reconnects(self) -> int:
        return 0

    def until_over(self, server: str) -> None:
        """Let everything go, and wait until the server is on its new host."""
        self.openstack.let_go()
        self.openstack.until("the end", lambda: self.openstack.server(server)["status"] == "ACTIVE")
