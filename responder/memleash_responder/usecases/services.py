"""Everything a use case works with, built in one place and passed in."""

from __future__ import annotations

import dataclasses
import threading

from memleash_responder.adapters.alertmanager import AlertmanagerClient
from memleash_responder.adapters.clock import Clock
from memleash_responder.adapters.controllers.clients import ControllerClients
from memleash_responder.adapters.database.cluster import Flags, Replicas
from memleash_responder.adapters.database.denials import Denials
from memleash_responder.adapters.database.diagnoses import Diagnoses
from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.host_conditions import (
    ControllerStates,
    FailingPings,
    Maintenances,
)
from memleash_responder.adapters.database.hosts import Hosts, Quarantine
from memleash_responder.adapters.database.inbox import AlertRecord, Inbox
from memleash_responder.adapters.database.mutes import Mutes
from memleash_responder.adapters.database.notices import Notices
from memleash_responder.adapters.database.pauses import Pauses
from memleash_responder.adapters.database.restart_history import RestartHistory
from memleash_responder.adapters.database.restarts import Restarts
from memleash_responder.adapters.database.sent_commands import SentCommands
from memleash_responder.adapters.exporter import ExporterClient
from memleash_responder.adapters.inventory import Inventory
from memleash_responder.adapters.own_metrics import Telemetry
from memleash_responder.adapters.prometheus import PrometheusClient
from memleash_responder.adapters.reports import Reports
from memleash_responder.adapters.ssh.client import SshClient
from memleash_responder.settings import Settings


class Stopping(BaseException):
    """The process stops while work waits: nothing is recorded, the next start goes on from here.

    Not an Exception, so that nobody takes it for the work's own failure.
    """


RESUMED = "resumed"
"""The switch in Flags of who or what ended a pause last."""


@dataclasses.dataclass(frozen=True, slots=True)
class Outside:
    """The peers, as the current configuration describes them. A reload makes a new one."""

    settings: Settings
    inventory: Inventory
    exporter: ExporterClient
    prometheus: PrometheusClient
    alertmanager: AlertmanagerClient
    controllers: ControllerClients
    ssh: SshClient
    reports: Reports

    @classmethod
    def of(cls, settings: Settings) -> Outside:
        """Build the peers of ``settings``. Raises ConfigError for an unusable inventory."""
        inventory, kept = Inventory(settings.inventory), settings.reports
        return cls(
            settings,
            inventory,
            ExporterClient(settings.exporter),
            PrometheusClient(settings.prometheus),
            AlertmanagerClient(settings.alertmanager),
            ControllerClients(settings.controllers, lambda: inventory.hosts().values()),
            SshClient(settings.ssh),
            Reports(kept.folder, kept.keep_per_agent, kept.keep_bytes),
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Tables:
    """Access to every table of the database."""

    database: Database
    inbox: Inbox
    alerts: AlertRecord
    restarts: Restarts
    restart_history: RestartHistory
    sent_commands: SentCommands
    hosts: Hosts
    maintenance: Maintenances
    controller_states: ControllerStates
    failing_pings: FailingPings
    mutes: Mutes
    quarantine: Quarantine
    denials: Denials
    diagnoses: Diagnoses
    pauses: Pauses
    notices: Notices
    flags: Flags
    replicas: Replicas

    @classmethod
    def on(cls, database: Database, *, max_backlog: int) -> Tables:
        """Build every table's access on one database."""
        return cls(
            database,
            Inbox(database, max_backlog=max_backlog),
            AlertRecord(database),
            Restarts(database),
            RestartHistory(database),
            SentCommands(database),
            Hosts(database),
            Maintenances(database),
            ControllerStates(database),
            FailingPings(database),
            Mutes(database),
            Quarantine(database),
            Denials(database),
            Diagnoses(database),
            Pauses(database),
            Notices(database),
            Flags(database),
            Replicas(database),
        )


@dataclasses.dataclass(slots=True)
class Services:
    """What every use case is given. ``outside`` alone is replaced, by a reload, as a whole."""

    outside: Outside
    tables: Tables
    telemetry: Telemetry
    clock: Clock
    executor_id: str
    """Which replica this is."""
    stopping: threading.Event = dataclasses.field(default_factory=threading.Event)
    mutes_changed: threading.Event = dataclasses.field(default_factory=threading.Event)
    """Set when Alertmanager should be made to agree at once."""

    @property
    def settings(self) -> Settings:
        """The current configuration. Read it once a decision."""
        return self.outside.settings

    def sleep(self, seconds: float) -> None:
        """Wait; a stopping process abandons what waits (see Stopping)."""
        if self.stopping.wait(seconds):
            raise Stopping
