"""What the parts of a stack say, asked over their public HTTP interfaces. Nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from demo.stack.http import Json, get
from demo.stack.layout import Layout


@dataclass(frozen=True, slots=True)
class Observer:
    """Asks the parts of a layout. Raises CallFailed where one does not answer."""

    layout: Layout

    # -- Prometheus, Alertmanager, the pager --------------------------------------------------

    def query(self, expression: str) -> float | None:
        """Return Prometheus's answer to an instant query as a number, None for no sample."""
        body = get(self.layout.url("prometheus", f"/api/v1/query?query={quote(expression)}"))
        result = body["data"]["result"]
        return float(result[0]["value"][1]) if result else None

    def agent_metric(self, name: str) -> float | None:
        return self.query(f'memleash_agent_{name}{{agent="{self.layout.agent}"}}')

    def firing(self) -> dict[str, Json]:
        """Return the alerts that Prometheus says are firing, by name."""
        alerts = get(self.layout.url("prometheus", "/api/v1/alerts"))["data"]["alerts"]
        return {
            alert["labels"]["alertname"]: alert for alert in alerts if alert["state"] == "firing"
        }

    def silences(self) -> list[Json]:
        """Return Alertmanager's active silences."""
        silences = get(self.layout.url("alertmanager", "/api/v2/silences"))
        return [each for each in silences if each["status"]["state"] == "active"]

    def ping_silence(self) -> Json:
        """Return the silence of this host's HostPingFailed and of nothing else, or None."""
        for silence in self.silences():
            matchers = {each["name"]: each["value"] for each in silence["matchers"]}
            if matchers == {"alertname": "HostPingFailed", "host": self.layout.host}:
                return silence
        return None

    def pages(self, alertname: str, status: str = "firing") -> list[Json]:
        """Return what the pager was told of ``alertname``, oldest first."""
        return [
            page
            for page in get(self.layout.url("pager", "/pages"))
            if page["labels"]["alertname"] == alertname and page["status"] == status
        ]

    def ping_by_hand(self) -> float:
        """Ping the host as Prometheus would, muted or not: 1 when it answers, else 0."""
        target = quote(self.layout.url("agent", "/host/echo"))
        result = get(self.layout.url("blackbox", f"/probe?module=http_agent&target={target}"))
        (line,) = (each for each in result.splitlines() if each.startswith("probe_success "))
        return float(line.split()[1])

    # -- the responder and the controller -----------------------------------------------------

    def host_state(self) -> str:
        return str(get(self.layout.url("responder", f"/api/v1/hosts/{self.layout.host}"))["state"])

    def ping_targets(self) -> list[Json]:
        return list(get(self.layout.url("responder", "/api/v1/sd/ping-targets")))

    def restarts(self) -> list[Json]:
        """Return the responder's record of restarts, newest first."""
        return list(get(self.layout.url("responder", "/api/v1/restarts"))["restarts"])

    def restart_with(self, outcome: str) -> Json:
        """Return the newest restart that ended with ``outcome``, or None."""
        return next((each for each in self.restarts() if each["outcome"] == outcome), None)

    def diagnosis(self, diagnosis_id: str) -> Json:
        """Return what the responder says of a diagnosis."""
        return get(self.layout.url("responder", f"/api/v1/diagnoses/{diagnosis_id}"))

    def first_suspect(self, time: str) -> str:
        """Return what the agent's report of that time says first of what grew."""
        folder = self.layout.reports / self.layout.host / self.layout.agent / time
        text = (folder / "report.md").read_text(encoding="utf-8")
        return text.partition("## What grew in every round\n\n")[2].partition("\n")[0]

    def controller_calls(self) -> list[str]:
        return [each["call"] for each in get(self.layout.url("controller", "/calls"))]

    # -- the host itself ----------------------------------------------------------------------

    def agent_pid(self) -> int:
        return int((self.layout.service / "agent.pid").read_text(encoding="ascii"))

    def starts(self) -> list[str]:
        """Return the service's own record of its starts, one line each."""
        return (self.layout.service / "service.log").read_text(encoding="utf-8").splitlines()
