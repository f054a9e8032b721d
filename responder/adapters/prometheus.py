"""What Prometheus's rules say: the hard limit that is in force for an agent on a host.

The label values come from the inventory and the configuration, never from an alert.
Protocol: https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries, as
Thanos, Mimir and VictoriaMetrics speak it too.
"""

from __future__ import annotations

import json
import math
from typing import Any

from responder.adapters import http
from responder.errors import FactsUnavailable
from responder.settings import Prometheus

LIMIT_RULE = "memleash:agent_memory_hard_limit_bytes"
_PART = "memleash_part"


class PrometheusClient:
    """Asks one Prometheus for what its recording rules hold."""

    def __init__(self, settings: Prometheus) -> None:
        self._settings = settings
        self._session = http.session(settings)
        self._url = settings.url.rstrip("/") + "/api/v1/query"

    def hard_limit_bytes(self, host: str, agent: str) -> int:
        """Return the hard limit in force, 0 = off. Raises FactsUnavailable.

        Value and age come from one evaluation, and the age by Prometheus's own clock.
        """
        selector = f"{LIMIT_RULE}{{host={_quoted(host)},agent={_quoted(agent)}}}"
        values: set[float] = set()
        ages: list[float] = []
        for part, number in self._query(_value_and_age(selector)):
            if part == "age":
                ages.append(number)
            else:
                values.add(number)
        if not values or not ages:
            raise self._unavailable(f"{selector} has no sample; are memleash's rules loaded?")
        if len(values) > 1:
            raise self._unavailable(f"{selector} has several values: {sorted(values)}")
        (value,) = values
        # Series that agree may be replicas of one Prometheus: the freshest vouches for the value.
        age = min(ages)
        if not age <= self._settings.max_sample_age:
            raise self._unavailable(
                f"{selector} is {age:.0f} s old, at most {self._settings.max_sample_age:.0f} s are "
                "believed; are memleash's rules evaluated?"
            )
        if not math.isfinite(value) or value < 0:
            raise self._unavailable(f"{selector} is {value}, which is no limit")
        return int(value)

    def by_agent(self, expression: str) -> dict[tuple[str, str], float]:
        """Return the value of ``expression`` for each (host, agent). Raises FactsUnavailable.

        For overviews of the whole fleet; what a restart rests on is read one by one.
        """
        try:
            return {
                (item["metric"].get("host", ""), item["metric"].get("agent", "")): float(
                    item["value"][1]
                )
                for item in self._ask(f"max by (host, agent) ({expression})")
            }
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise self._unavailable("the answer is not an instant vector") from error

    def reachable(self) -> bool:
        """Return whether it answers a query now."""
        try:
            self._ask("vector(1)")
        except FactsUnavailable:
            return False
        return True

    def _query(self, expression: str) -> list[tuple[str, float]]:
        result = self._ask(expression)
        try:
            return [(item["metric"][_PART], float(item["value"][1])) for item in result]
        except (LookupError, TypeError, ValueError) as error:
            raise self._unavailable("the answer is not an instant vector") from error

    def _ask(self, expression: str) -> Any:
        """Return ``data.result``. Raises FactsUnavailable for anything but a whole success."""
        try:
            answer = http.request(
                self._session,
                "GET",
                self._url,
                timeout_seconds=self._settings.timeout,
                params={"query": expression},
            )
            if answer.status != 200:
                raise self._unavailable(answer.describe())
            body = answer.json()
        except http.HttpError as error:
            raise self._unavailable(str(error)) from error
        try:
            complaints = body.get("warnings") or body.get("isPartial")
            success, result = body["status"] == "success", body["data"]["result"]
        except (LookupError, TypeError, AttributeError) as error:
            raise self._unavailable(f"not a query's answer: {answer.excerpt()}") from error
        if not success:
            raise self._unavailable(f"the query failed: {answer.excerpt()}")
        if complaints:
            raise self._unavailable(f"the answer may be partial: {complaints}")
        return result

    def _unavailable(self, why: str) -> FactsUnavailable:
        return FactsUnavailable(f"Prometheus: {why}")


def _value_and_age(selector: str) -> str:
    return (
        f'label_replace({selector}, "{_PART}", "value", "", "")'
        f' or label_replace(time() - timestamp({selector}), "{_PART}", "age", "", "")'
    )


def _quoted(value: str) -> str:
    """Return ``value`` as a PromQL string; JSON's escapes are a subset of Go's."""
    return json.dumps(value, ensure_ascii=False)
