"""The exporter itself: a configuration in force, scraped and swapped as a whole."""

from __future__ import annotations

import logging
import platform
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from prometheus_client import CollectorRegistry, Info, Metric, ProcessCollector, generate_latest
from prometheus_client.registry import Collector

from memleash_exporter.adapters.background import BackgroundProbe
from memleash_exporter.adapters.discovery import Walk, search_for
from memleash_exporter.adapters.marker_files import MarkerFiles
from memleash_exporter.adapters.processes import Processes
from memleash_exporter.adapters.systemd import Systemctl
from memleash_exporter.adapters.unit_pids import CGROUPFS
from memleash_exporter.collector import background_probes, busy_sources, families, readiness
from memleash_exporter.collector.agent import AgentWatch, Watched
from memleash_exporter.collector.background_probes import ProbeKey
from memleash_exporter.collector.sample import AgentSample
from memleash_exporter.decisions import markers
from memleash_exporter.decisions.busy import Busyness
from memleash_exporter.settings import (
    Agent,
    BusySource,
    Children,
    CommandBusy,
    FilesBusy,
    HttpBusy,
    Markers,
    Settings,
)
from memleash_toolkit import VERSION
from memleash_toolkit.settings import ConfigError, load

PROCFS = Path("/proc")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Host:
    """Where the host's kernel shows itself."""

    procfs: Path = PROCFS
    cgroupfs: Path = CGROUPFS


class AgentsCollector(Collector):
    """Watches the agents of a configuration file. Scrapes and reloads exclude each other."""

    def __init__(self, config_file: Path, host: Host) -> None:
        """Read ``config_file``; raises ConfigError. Nothing is started yet."""
        self._config_file = config_file
        self._processes = Processes(host.procfs)
        self._cgroupfs = host.cgroupfs
        self._systemctl = Systemctl()
        self._lock = threading.Lock()
        self._probes: dict[ProbeKey, BackgroundProbe] = {}
        self._watches: list[AgentWatch] = []
        self._last_reload_successful = True
        self._last_success_at = 0.0
        self._put_in_force(load(Settings, config_file))
        self.registry = CollectorRegistry()
        """What a scrape tells: the agents, the configuration, the exporter itself."""
        self.registry.register(self)
        build = Info("memleash_exporter_build", "The exporter's version.", registry=self.registry)
        build.info({"version": VERSION, "python_version": platform.python_version()})
        ProcessCollector(registry=self.registry)

    def start(self) -> None:
        """Begin to ask the background probes."""
        with self._lock:
            for probe in self._probes.values():
                probe.start()

    def wait_answered(self, timeout: float) -> None:
        """Wait until every background probe has an answer, at most ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        for probe in list(self._probes.values()):
            probe.wait_answered(max(0.0, deadline - time.monotonic()))

    def reload(self) -> None:
        """Read the configuration file again and put it in force as a whole.

        Raises ConfigError, with the former configuration still in force.
        """
        with self._lock:
            try:
                settings = load(Settings, self._config_file)
            except ConfigError as error:
                self._last_reload_successful = False
                log.error("configuration not reloaded", extra={"problem": error})  # noqa: TRY400 - no trace: the message says it all
                raise
            self._put_in_force(settings)
            for probe in self._probes.values():
                probe.start()
        log.info("configuration reloaded", extra={"agents": len(settings.agents)})

    def scrape(self) -> bytes:
        """Return the body of a scrape in Prometheus's text format."""
        return generate_latest(self.registry)

    def describe(self) -> Iterable[Metric]:
        """Return no names, so that registering this collector takes no scrape."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield the families of one scrape: prometheus_client's Collector."""
        with self._lock:
            patterns = [watch.sought for watch in self._watches if watch.sought is not None]
            agents = [watch.pid for watch in self._watches if watch.pid is not None]
            walk = Walk(self._processes, patterns, agents)
            samples = [self._sample(watch, walk) for watch in self._watches]
            configuration = families.of_configuration(
                last_reload_successful=self._last_reload_successful,
                last_success_at=self._last_success_at,
            )
        yield from families.of_agents(samples)
        yield from configuration

    def agent_names(self) -> list[str]:
        """Return the names of the agents in force."""
        return [watch.agent.name for watch in self._watches]

    def warnings(self) -> list[str]:
        """Return what is missing for a restart, agent by agent."""
        return [warning for watch in self._watches for warning in watch.agent.warnings()]

    def _sample(self, watch: AgentWatch, walk: Walk) -> AgentSample:
        try:
            return watch.sample(walk)
        except Exception:  # an agent's boundary: one that breaks must not take the scrape along
            log.exception("agent cannot be sampled", extra={"agent": watch.agent.name})
            return AgentSample(
                agent=watch.agent,
                is_up=None,
                facts=None,
                reports=(),
                busy=Busyness.UNKNOWN,
                busy_since=None,
                is_ready=None,
                is_complete=False,
                duration_seconds=0.0,
            )

    def _put_in_force(self, settings: Settings) -> None:
        """Swap in ``settings``: what stays the same keeps its life and its last words."""
        before = {watch.agent.name: watch for watch in self._watches}
        former = self._probes
        self._probes = {
            key: former.get(key) or background_probes.new_probe(key, self._systemctl)
            for agent in settings.agents
            for key in background_probes.keys(agent)
        }
        for key in former.keys() - self._probes.keys():
            former[key].stop()
        self._watches = [self._watch(agent, settings) for agent in settings.agents]
        for watch in self._watches:
            if watch.agent.name in before:
                watch.continue_from(before[watch.agent.name])
        self._last_reload_successful = True
        self._last_success_at = time.time()

    def _watch(self, agent: Agent, settings: Settings) -> AgentWatch:
        directory = settings.busy_markers_directory / agent.name
        return AgentWatch(
            Watched(
                agent=agent,
                processes=self._processes,
                search=search_for(agent.discover, self._processes, self._cgroupfs, self._systemctl),
                sources=[
                    (name, self._ask(agent, source, directory))
                    for name, source in agent.named_sources()
                ],
                readiness=self._readiness(agent),
            )
        )

    def _ask(self, agent: Agent, source: BusySource, directory: Path) -> busy_sources.Ask:
        match source.given:
            case Markers():
                return busy_sources.marker_source(MarkerFiles(directory), self._processes)
            case Children(cmdline):
                return busy_sources.children_source(cmdline, self._processes)
            case (HttpBusy() | CommandBusy()) as settings:
                key = background_probes.busy_key(agent, settings)
                return busy_sources.background_source(self._probes[key])
            case FilesBusy(glob, max_age):
                files = MarkerFiles(glob.parent, glob.name, markers.parse_job_file, max_age)
                return busy_sources.marker_source(files, self._processes)
            case forgotten:
                assert_never(forgotten)

    def _readiness(self, agent: Agent) -> readiness.Readiness:
        key = background_probes.ready_key(agent)
        if key is not None:
            return readiness.from_probe(self._probes[key])
        if agent.ready is not None and agent.ready.alive_for is not None:
            return readiness.from_age(agent.ready.alive_for, self._processes)
        return readiness.unknown
