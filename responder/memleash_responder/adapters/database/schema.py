"""The tables, as they are now; how older ones become so stands in ``migrations``.

Times are unix seconds. JSON columns hold facts for people, never for decisions.
The prefix keeps them apart from DBOS's own tables, which live in the same database.
"""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()

schema = sa.Table(
    "memleash_schema",
    METADATA,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
)
"""One row: which version of the tables this is."""

notifications = sa.Table(
    "memleash_notifications",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("received_at", sa.Double, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
"""The inbox: what was told and is not handled yet. A handled notification leaves it."""

alerts = sa.Table(
    "memleash_alerts",
    METADATA,
    sa.Column("fingerprint", sa.String(128), primary_key=True),
    sa.Column("starts_at", sa.Double, primary_key=True),
    sa.Column("alertname", sa.String(256), nullable=False),
    sa.Column("host", sa.String(256), nullable=False),
    sa.Column("agent", sa.String(256), nullable=False),
    sa.Column("remediation", sa.String(16)),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("verdict", sa.String(32), key="refused"),
    sa.Column("first_received_at", sa.Double, nullable=False),
    sa.Column("last_received_at", sa.Double, nullable=False, index=True),
    sa.Column("deliveries", sa.Integer, nullable=False),
)
"""Every alert that was ever told, once per (fingerprint, startsAt)."""

restarts = sa.Table(
    "memleash_restarts",
    METADATA,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("host", sa.String(256), nullable=False),
    sa.Column("agent", sa.String(256), nullable=False),
    sa.Column("requested_at", sa.Double, nullable=False, index=True),
    sa.Column("requested_by", sa.String(256), nullable=False),
    sa.Column("fingerprint", sa.String(128)),
    sa.Column("alert_started_at", sa.Double),
    sa.Column("forced", sa.Boolean, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False, default="", server_default=""),
    sa.Column("not_before", sa.Double),
    sa.Column("approval", sa.String(16)),
    sa.Column("approval_by", sa.String(256)),
    sa.Column("resolved", sa.Boolean, nullable=False, default=False),
    sa.Column("step", sa.String(32), nullable=False),
    sa.Column("waits_for", sa.String(32)),
    sa.Column("waiting_since_at", sa.Double),
    sa.Column("waiting_since_boot_id", sa.String(36)),
    sa.Column("waiting_since_uptime", sa.Double),
    sa.Column("waited_seconds", sa.Double, nullable=False, server_default="0"),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.Column("command_sent_at", sa.Double),
    sa.Column("command_sent_boot_id", sa.String(36)),
    sa.Column("command_sent_uptime", sa.Double),
    sa.Column("life_to_end", sa.Double),
    sa.Column("outcome", sa.String(32)),
    sa.Column("reason", sa.Text, nullable=False, default=""),
    sa.Column("finished_at", sa.Double, index=True),
    sa.Column("facts", sa.JSON, nullable=False, default=dict),
    sa.Column("steps", sa.JSON, nullable=False, default=list),
    sa.Index("memleash_restarts_of_agent", "host", "agent", "requested_at"),
    sa.Index("memleash_restarts_of_alert", "fingerprint", "alert_started_at"),
)
"""Every request for a restart, with its one final word."""

commands = sa.Index(
    "memleash_restarts_commands",
    restarts.c.command_sent_at,
    sqlite_where=restarts.c.command_sent_at.is_not(None),
    postgresql_where=restarts.c.command_sent_at.is_not(None),
)
"""What cooldowns and budgets count."""

one_at_a_time = sa.Index(
    "memleash_one_restart_at_a_time",
    restarts.c.host,
    restarts.c.agent,
    unique=True,
    sqlite_where=restarts.c.outcome.is_(None),
    postgresql_where=restarts.c.outcome.is_(None),
)
"""Single-flight: the database itself refuses a second open request for an agent."""

diagnoses = sa.Table(
    "memleash_diagnoses",
    METADATA,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("host", sa.String(256), nullable=False),
    sa.Column("agent", sa.String(256), nullable=False),
    sa.Column("requested_at", sa.Double, nullable=False, index=True),
    sa.Column("requested_by", sa.String(256), nullable=False),
    sa.Column("step", sa.String(16), nullable=False),
    sa.Column("life", sa.Double),
    sa.Column("rounds", sa.Integer),
    sa.Column("interval_seconds", sa.Double),
    sa.Column("pace", sa.Text, nullable=False, default=""),
    sa.Column("verdict", sa.String(32), key="outcome"),
    sa.Column("reason", sa.Text, nullable=False, default=""),
    sa.Column("artifact", sa.String(64), key="report", nullable=False, default=""),
    sa.Column("finished_at", sa.Double, index=True),
    sa.Index("memleash_diagnoses_of_agent", "host", "agent", "requested_at"),
)
"""Every request for a diagnosis, with its one final word."""

one_a_host = sa.Index(
    "memleash_one_diagnosis_a_host",
    diagnoses.c.host,
    unique=True,
    sqlite_where=diagnoses.c.outcome.is_(None),
    postgresql_where=diagnoses.c.outcome.is_(None),
)
"""The database itself refuses a second open diagnosis on a host."""

hosts = sa.Table(
    "memleash_hosts",
    METADATA,
    sa.Column("host", sa.String(256), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("changed_at", sa.Double, nullable=False),
    sa.Column("restart_id", sa.String(36)),
    sa.Column("agent", sa.String(256)),
    sa.Column("drained", sa.Boolean, nullable=False, default=False),
    sa.Column("vouched_by", sa.String(256)),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("next_attempt_at", sa.Double),
    sa.Column("asked_life", sa.Double),
    sa.Column("life_changes", sa.Integer, nullable=False, default=0, server_default="0"),
    sa.Column("problem", sa.Text, nullable=False, default="", server_default=""),
    sa.Column("reconnected_by", sa.String(256)),
)
"""Who holds a host, or held it, and what is owed.

``state`` is connected, or another word while the request holds it: what its state is then follows
from the request (see core.host_states).
"""

maintenance = sa.Table(
    "memleash_maintenance",
    METADATA,
    sa.Column("host", sa.String(256), primary_key=True),
    sa.Column("by", sa.String(256), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("since", sa.Double, nullable=False),
    sa.Column("until", sa.Double),
)
"""Hosts that a person took out of service."""

controller_states = sa.Table(
    "memleash_controller_states",
    METADATA,
    sa.Column("host", sa.String(256), primary_key=True),
    sa.Column("controller", sa.String(128), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("since", sa.Double, nullable=False),
    sa.Column("believed_until", sa.Double, nullable=False),
)
"""What controllers call hosts, where it is not connected; for pings and pages, not for restarts."""

failing_pings = sa.Table(
    "memleash_failing_pings",
    METADATA,
    sa.Column("host", sa.String(256), primary_key=True),
    sa.Column("since", sa.Double, nullable=False),
    sa.Column("seen_at", sa.Double, nullable=False),
)
"""Hosts whose pings failed when Prometheus was last asked; for pages, not for restarts."""

mutes = sa.Table(
    "memleash_mutes",
    METADATA,
    sa.Column("host", sa.String(256), primary_key=True),
    sa.Column("claimant", sa.String(300), primary_key=True),
    sa.Column("since", sa.Double, nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("ending", sa.Boolean, nullable=False, default=False),
)
"""Claims on a host's silence."""

quarantine = sa.Table(
    "memleash_quarantine",
    METADATA,
    sa.Column("host", sa.String(256), primary_key=True),
    sa.Column("agent", sa.String(256), primary_key=True),
    sa.Column("since", sa.Double, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)
"""Agents that a restart did not help."""

denials = sa.Table(
    "memleash_denials",
    METADATA,
    sa.Column("host", sa.String(256), primary_key=True),
    sa.Column("agent", sa.String(256), primary_key=True),
    sa.Column("by", sa.String(256), nullable=False),
    sa.Column("since", sa.Double, nullable=False),
    sa.Column("until", sa.Double),
    sa.Column("life", sa.Double),
)
"""Agents that a person does not want restarted for a while."""

pauses = sa.Table(
    "memleash_pauses",
    METADATA,
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("by", sa.String(256), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("since", sa.Double, nullable=False),
    sa.Column("until", sa.Double),
)
"""What holds restarts back, each until it is resumed, or until it ends by itself."""

flags = sa.Table(
    "memleash_flags",
    METADATA,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("changed_at", sa.Double, nullable=False),
    sa.Column("changed_by", sa.String(256), nullable=False),
)
"""Switches that the storm breaker, a person or a replica set, such as ``storm``."""

notices = sa.Table(
    "memleash_notices",
    METADATA,
    sa.Column("target", sa.String(128), primary_key=True),
    sa.Column("key", sa.String(700), primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False, index=True),
    sa.Column("tries", sa.Integer, nullable=False, default=0),
    sa.Column("next_try_at", sa.Double, index=True),
)
"""What people are told, once to each target; done with once ``next_try_at`` is null."""

replicas = sa.Table(
    "memleash_replicas",
    METADATA,
    sa.Column("executor_id", sa.String(128), primary_key=True),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("beat_at", sa.Double, nullable=False),
)
"""Who is alive."""

leases = sa.Table(
    "memleash_leases",
    METADATA,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("owner", sa.String(128), nullable=False),
    sa.Column("until", sa.Double, nullable=False),
)
"""Work that one replica does for all."""
