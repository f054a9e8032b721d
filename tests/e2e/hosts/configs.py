"""The files that the machines get: agents as units, the exporter, and all that watches over it.

Rules, routes and scrape jobs are the project's own, at a demo's pace.
"""

from __future__ import annotations

from typing import Any

import yaml

from demo.stack.configs import quick_rules
from demo.stack.tools import REPOSITORY
from tests.e2e.hosts import documented

Config = Any

RULES = REPOSITORY / "rules"
SAMPLE, COLLECTD, ZABBIX = "sample-agent", "collectd", "zabbix-agent"
UNITS = {
    SAMPLE: "sample-agent.service",
    COLLECTD: "collectd.service",
    ZABBIX: "zabbix-agent.service",
}
MIB = 1024**2
_PACE = {"timeout": "1s", "interval": "1s", "max_age": "3s"}

SAMPLE_UNIT = """\
[Unit]
Description=The sample agent
[Service]
Environment=PYTHONPATH=/opt/demo
ExecStart=/usr/bin/python3 -m demo.agent --listen 0.0.0.0:7070 --name sample-agent \
    --busy-directory /run/memleash/busy --start-delay 4
Restart=on-failure
[Install]
WantedBy=multi-user.target
"""

COLLECTD_CONF = """\
Interval 1
LoadPlugin python
LoadPlugin write_prometheus
<Plugin write_prometheus>
    Port "9103"
</Plugin>
<Plugin python>
    ModulePath "/etc/collectd"
    Import "leak"
</Plugin>
"""

COLLECTD_LEAK = '''\
"""A plugin that leaks as many MiB in each interval as /run/leak says, in this life of collectd."""
import collectd

held = []

def read():
    try:
        mib = int(open("/run/leak").read())
    except (OSError, ValueError):
        return
    held.append(b"x" * (mib * 1024 * 1024))

collectd.register_read(read)
'''

ZABBIX_SLOW_ITEM = "UserParameter=slow.item,/usr/local/bin/slow-item\nTimeout=30\n"
SLOW_ITEM = "#!/bin/sh\nsleep 12\necho done\n"

EXPORTER_DROP_IN = """\
[Service]
ExecStart=
ExecStart=/opt/memleash/bin/memleash-exporter --config.file=/etc/memleash/exporter.yml \
    --path.cgroupfs={control_groups}
"""

RELAY_SOCKET = "[Socket]\nListenStream={port}\n[Install]\nWantedBy=sockets.target\n"
RELAY_SERVICE = "[Service]\nExecStart=/lib/systemd/systemd-socket-proxyd {address}:{port}\n"


def exporter(*agents: Config) -> str:
    return yaml.safe_dump({"agents": list(agents)}, sort_keys=False)


def sample_agent() -> Config:
    return {
        "name": SAMPLE,
        "discover": {"systemd_unit": UNITS[SAMPLE]},
        "limits": {"alarm_threshold": "96MiB", "hard_limit": "192MiB"},
        "busy": [{"markers": {}}, {"http": {"url": "http://127.0.0.1:7070/status", **_PACE}}],
        "ready": {"http": {"url": "http://127.0.0.1:7070/host/echo", **_PACE}},
    }


def collectd() -> Config:
    return {
        "name": COLLECTD,
        "discover": {"systemd_unit": UNITS[COLLECTD]},
        "limits": {"alarm_threshold": "96MiB", "hard_limit": "192MiB"},
        "busy": [{"markers": {}}],
        "ready": {"tcp": {"address": "127.0.0.1:9103", **_PACE}},
    }


def zabbix_agent(hard_limit: str = "0") -> Config:
    """Return the entry of the Zabbix agent, which is busy while it runs a slow item."""
    return {
        "name": ZABBIX,
        "discover": {"systemd_unit": UNITS[ZABBIX]},
        "limits": {"alarm_threshold": "0", "hard_limit": hard_limit},
        "busy": [{"children": {"cmdline": "/usr/local/bin/slow-item"}}],
        "ready": {"tcp": {"address": "127.0.0.1:10050", **_PACE}},
    }


def inventory(targets: dict[str, str]) -> str:
    return yaml.safe_dump(
        [
            {"targets": [target], "labels": {"host": host, "ssh_address": host}}
            for host, target in targets.items()
        ]
    )


def rules() -> dict[str, str]:
    """Return the project's rule files with shortened waits, by their names."""
    files = sorted(RULES.glob("*.rules.yml"))
    return {file.name: quick_rules(file.read_text(encoding="utf-8")) for file in files}


def prometheus() -> str:
    config = yaml.safe_load((RULES / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = ["/etc/prometheus/rules/*.rules.yml"]
    jobs = [job for job in config["scrape_configs"] if job["job_name"] != "memleash-ping"]
    jobs[0]["file_sd_configs"] = [{"files": ["/etc/memleash/hosts.yml"]}]
    config["scrape_configs"] = jobs
    return yaml.safe_dump(config, sort_keys=False)


def alertmanager(token_file: str) -> str:
    config = yaml.safe_load((RULES / "alertmanager.yml").read_text(encoding="utf-8"))
    (webhook,) = next(each for each in config["receivers"] if each["name"] == "responder")[
        "webhook_configs"
    ]
    webhook["http_config"] = {"authorization": {"credentials_file": token_file}}
    _hasten(config["route"])
    return yaml.safe_dump(config, sort_keys=False)


def _hasten(route: Config) -> None:
    route.update({"group_wait": "0s", "group_interval": "1s", "repeat_interval": "3s"})
    for child in route.get("routes", []):
        _hasten(child)


def responder() -> str:
    managed = {
        agent: {
            "mode": "enforce",
            "restart_command": f"sudo -n systemctl restart {unit}",
            "readiness": {"probes": 60, "timeout": "2s", "interval": "1s"},
            "reconnect_timeout": "1m",
            "guards": {
                "startup_grace": "1s",
                "cooldown": "1s",
                "shrinking_ratio": 0.01,
                "max_restarts": 100,
                "wait_for_idle": "1m",
                "idle_interval": "1s",
                "retry_after": "3s",
            },
        }
        for agent, unit in UNITS.items()
    }
    managed[COLLECTD]["restart_command"] = documented.clearing_command(UNITS[COLLECTD])
    controller = {
        "name": "mn-1",
        "drain_url": "http://127.0.0.1:8080/hosts/{host}/drain",
        "undrain_url": "http://127.0.0.1:8080/hosts/{host}/undrain",
        "tasks_url": "http://127.0.0.1:8080/hosts/{host}/tasks",
        "reconnect_url": "http://127.0.0.1:8080/reconnect",
        "timeout": "5s",
    }
    config = {
        "database": "sqlite:////var/lib/memleash/responder.db",
        "inventory": {"files": ["/etc/memleash/hosts.yml"]},
        "exporter": {"timeout": "2s"},
        "ssh": {
            "user": "memleash",
            "identity_file": "/etc/memleash/id_ed25519",
            "known_hosts_file": "/etc/memleash/known_hosts",
            "config_file": "/etc/memleash/ssh_config",
            "connect_timeout": "3s",
            "command_timeout": "20s",
        },
        "controllers": [controller],
        "agents": managed,
        "fleet": {"storm_fraction": 1, "max_restarts_per_hour": 1000},
        "access": {
            "anonymous": "read",
            "tokens": [
                {"name": "alertmanager", "role": "webhook", "file": "/etc/memleash/webhook-token"},
                {"name": "operator", "role": "operate", "file": "/etc/memleash/operator-token"},
            ],
        },
    }
    return yaml.safe_dump(config, sort_keys=False)
