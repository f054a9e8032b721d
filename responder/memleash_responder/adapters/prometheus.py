"""What Prometheus's rules say: the hard limit in force for an agent on a host, and what fires.

The label values come from the inventory and the configuration, never from an alert.
Protocol: https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries, as
Thanos, Mimir and VictoriaMetrics speak it too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from memleash_responder.adapters.http import client as http
from memleash_responder.core.matchers import Matcher
from memleash_responder.core.moments import SKEW_SECONDS, rfc3339, unix_seconds
from memleash_responder.core.own_alerts import OWN_ALERTS
from memleash_responder.core.untrusted import decimal, line, listed, size_bytes
from memleash_responder.errors import FactsUnavailable
from memleash_responder.settings import Prometheus

LIMIT_RULE = "memleash:agent_memory_hard_limit_bytes"
_PART = "memleash_part"

MAX_SAMPLE_AGE_SECONDS = 300.0
"""A recorded limit older than this is not believed; Prometheus looks back as far."""

MAX_URL_QUERY_CHARACTERS = 2000
"""A longer query is sent as a form: a proxy may take URLs of 8 KiB at most."""
MAX_FLEET_BYTES = 64 * 1024**2
"""An answer about all agents; one figure of each of 10,000 is 1 MiB."""


class PrometheusClient:
    """Asks one Prometheus for what its recording rules hold."""

    def __init__(
        self, settings: Prometheus, *, max_sample_age_seconds: float = MAX_SAMPLE_AGE_SECONDS
    ) -> None:
        self._settings = settings
        self._max_sample_age_seconds = max_sample_age_seconds
        self._session = http.session(settings)
        self._url = settings.url.rstrip("/") + "/api/v1/"

    def hard_limit_bytes(self, host: str, agent: str, now: float) -> int:
        """Return the hard limit in force at unix time ``now``, 0 = off. Raises FactsUnavailable.

        Value and age come from one evaluation, and the age by Prometheus's own clock. The answer
        is believed if it is one series of this very host and agent, evaluated now.
        """
        selector = f"{LIMIT_RULE}{{host={_quoted(host)},agent={_quoted(agent)}}}"
        parts: dict[str, list[object]] = {"value": [], "age": []}
        for labels, evaluated_at, raw in self._query(_value_and_age(selector)):
            if (labels.get("host"), labels.get("agent")) != (host, agent):
                raise self._unavailable(f"{selector} was answered for {_told(labels)}")
            if labels.get(_PART) not in parts:
                raise self._unavailable(f"{selector} was answered with {_told(labels)}")
            self._check_evaluation(selector, evaluated_at, now)
            parts[labels[_PART]].append(raw)
        values, ages = parts["value"], parts["age"]
        if not values or not ages:
            raise self._unavailable(f"{selector} has no sample; are memleash's rules loaded?")
        if len(values) > 1 or len(ages) > 1:
            raise self._unavailable(
                f"{selector} has several series: {listed([*map(line, values)])}"
            )
        self._check_age(selector, decimal(ages[0]), ages[0])
        limit = size_bytes(decimal(values[0]))
        if limit is None:
            raise self._unavailable(f"{selector} is '{line(values[0])}', which is no limit")
        return limit

    def _check_evaluation(self, selector: str, evaluated_at: object, now: float) -> None:
        """Raise FactsUnavailable unless the answer was made now, as far as clocks agree."""
        moment = unix_seconds(evaluated_at)
        if moment is None:
            raise self._unavailable(f"{selector} was evaluated at no moment")
        if abs(moment - now) > SKEW_SECONDS:
            raise self._unavailable(
                f"{selector} was evaluated at {rfc3339(moment)}, and it is {rfc3339(now)};"
                " do the clocks agree?"
            )

    def _check_age(self, selector: str, age: float | None, raw: object) -> None:
        """Raise FactsUnavailable unless the sample is of now, or of a little while ago."""
        oldest = self._max_sample_age_seconds
        if age is None or age < -SKEW_SECONDS:
            raise self._unavailable(f"{selector} is '{line(raw)}' s old, which is no age")
        if age > oldest:
            raise self._unavailable(
                f"{selector} is {age:.0f} s old, at most {oldest:.0f} s are "
                "believed; are memleash's rules evaluated?"
            )

    def firing(self, selectors: Sequence[str], now: float) -> tuple[str, ...]:
        """Return the alerts that fire and that one of ``selectors`` matches: ``Name``, ``Name x3``.

        A selector is what stands between PromQL's braces. Pending alerts don't count, nor do those
        of memleash's own rules. Raises FactsUnavailable. That nothing fires is believed only with
        a sign of life in the same answer, evaluated at unix time ``now``.
        """
        fixed = f'alertstate="firing",alertname!~"{"|".join(OWN_ALERTS)}"'
        alerts = " or ".join(f"ALERTS{{{fixed},{one}}}" for one in selectors)
        counts = self._count(alerts, "alertname", now)
        if "" in counts:
            raise self._unavailable("ALERTS was answered with {} '1': alerts have names")
        return tuple(f"{name} x{n}" if n > 1 else name for name, n in sorted(counts.items()))

    def hosts_with_alerts(
        self, matchers: Sequence[Matcher], now: float, *, host: str | None = None
    ) -> frozenset[str]:
        """Return the hosts of alerts that fire and match; with ``host``, of this one alone.

        Pending alerts don't count. That none fires is believed only with a sign of life in the
        same answer, evaluated at unix time ``now``. Raises FactsUnavailable.
        """
        wanted = ['alertstate="firing"', *map(str, matchers)]
        wanted += [f"host={_quoted(host)}"] if host is not None else []
        counts = self._count(f"ALERTS{{{','.join(wanted)}}}", "host", now)
        hosts = counts.keys() - {""}  # one without is about no host
        if host is not None and hosts - {host}:
            raise self._unavailable(f"ALERTS of {host} was answered with {listed(sorted(hosts))}")
        return frozenset(hosts)

    def _count(self, alerts: str, by: str, now: float) -> dict[str, int]:
        """Return how many ``alerts`` there are for each value of the label ``by``; "" without it.

        That there are none is believed only with a sign of life in the same answer, evaluated at
        unix time ``now``. Raises FactsUnavailable.
        """
        counts: dict[str, int] = {}
        is_alive = False
        alive = f'label_replace(vector(1), "{_PART}", "alive", "", "")'
        for labels, evaluated_at, raw in self._query(f"count by ({by}) ({alerts}) or {alive}"):
            self._check_evaluation("ALERTS", evaluated_at, now)
            if labels == {_PART: "alive"}:
                is_alive = True
                continue
            count = decimal(raw)
            if labels.keys() - {by} or count is None or count < 1:
                raise self._unavailable(f"ALERTS was answered with {_told(labels)} '{line(raw)}'")
            counts[labels.get(by, "")] = int(count)
        if not is_alive:
            raise self._unavailable("ALERTS was answered without a sign of life")
        return counts

    def by_agent(self, expression: str) -> dict[tuple[str, str], float]:
        """Return the value of ``expression`` for each (host, agent). Raises FactsUnavailable.

        For overviews of the whole fleet; what a restart rests on is read one by one. What is no
        number is left out.
        """
        return {
            (labels.get("host", ""), labels.get("agent", "")): value
            for labels, _, raw in self._query(
                f"max by (host, agent) ({expression})", max_bytes=MAX_FLEET_BYTES
            )
            if (value := decimal(raw)) is not None
        }

    def fields_by_agent(
        self, expressions: Mapping[str, str]
    ) -> dict[tuple[str, str], dict[str, float]]:
        """Return the values of several expressions, by their names, for each (host, agent).

        They are asked for in one query. What is no number is left out. Raises FactsUnavailable.
        """
        found: dict[tuple[str, str], dict[str, float]] = {}
        query = " or ".join(
            f'label_replace(max by (host, agent) ({expression}), "{_PART}", "{name}", "", "")'
            for name, expression in expressions.items()
        )
        for labels, _, raw in self._query(query, max_bytes=MAX_FLEET_BYTES):
            value = decimal(raw)
            if value is not None:
                of_agent = found.setdefault((labels.get("host", ""), labels.get("agent", "")), {})
                of_agent[labels.get(_PART, "")] = value
        return found

    def over_time(
        self, expressions: Mapping[str, str], start: float, end: float, step: float
    ) -> dict[str, list[tuple[float, float]]]:
        """Return (unix time, value) of several expressions from ``start`` to ``end``, by name.

        Each is a value every ``step`` seconds, oldest first; what is no number is left out. Of an
        expression that gives several series the largest value counts. Raises FactsUnavailable.
        """
        query = " or ".join(
            f'label_replace(max({expression}), "{_PART}", "{name}", "", "")'
            for name, expression in expressions.items()
        )
        asked = {"query": query, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in expressions}
        try:
            for item in self._ask("query_range", asked, http.MAX_BODY_BYTES):
                samples = [_pair(one) for one in item["values"]]
                numbers = [(unix_seconds(at), decimal(raw)) for at, raw in samples]
                found[_labels(item["metric"]).get(_PART, "")] = [
                    (at, value) for at, value in numbers if at is not None and value is not None
                ]
        except (LookupError, TypeError) as error:
            raise self._unavailable("the answer is not a range vector") from error
        return {name: found[name] for name in expressions}

    def _query(
        self, expression: str, *, max_bytes: int = http.MAX_BODY_BYTES
    ) -> list[tuple[dict[str, str], object, object]]:
        """Return labels, time of evaluation and value of each series. Raises FactsUnavailable."""
        result = self._ask("query", {"query": expression}, max_bytes)
        try:
            return [(_labels(item["metric"]), *_pair(item["value"])) for item in result]
        except (LookupError, TypeError) as error:
            raise self._unavailable("the answer is not an instant vector") from error

    def _ask(self, path: str, asked: Mapping[str, str], max_bytes: int) -> Any:
        """Return ``data.result``. Raises FactsUnavailable for anything but a whole success."""
        is_long = len(asked["query"]) > MAX_URL_QUERY_CHARACTERS
        try:
            answer = http.request(
                self._session,
                "POST" if is_long else "GET",
                self._url + path,
                timeout_seconds=self._settings.timeout,
                max_bytes=max_bytes,
                **{"data" if is_long else "params": asked},
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
        if not isinstance(result, list):
            raise self._unavailable(f"not a query's answer: {answer.excerpt()}")
        if not success:
            raise self._unavailable(f"the query failed: {answer.excerpt()}")
        if complaints:
            first = complaints[:3] if isinstance(complaints, list) else [str(complaints is True)]
            raise self._unavailable(f"the answer may be partial: {'; '.join(map(line, first))}")
        return result

    def _unavailable(self, why: str) -> FactsUnavailable:
        return FactsUnavailable(f"Prometheus: {why}")


def _value_and_age(selector: str) -> str:
    return (
        f'label_replace({selector}, "{_PART}", "value", "", "")'
        f' or label_replace(time() - timestamp({selector}), "{_PART}", "age", "", "")'
    )


def _labels(raw: object) -> dict[str, str]:
    """Return a series' labels. Raises TypeError."""
    if not isinstance(raw, dict) or not {*map(type, raw.values())} <= {str}:
        raise TypeError("not labels")
    return raw


def _pair(raw: object) -> tuple[object, object]:
    """Return a sample's time of evaluation and its value. Raises TypeError."""
    if not isinstance(raw, list) or len(raw) != 2:
        raise TypeError("not a time and a value")
    return raw[0], raw[1]


def _told(labels: dict[str, str]) -> str:
    return line(json.dumps(labels, sort_keys=True))


def one_of(label: str, values: Iterable[str]) -> str:
    """Return the matcher of series whose ``label`` is one of ``values``."""
    return f"{label}=~{_quoted('|'.join(map(re.escape, values)))}"


def _quoted(value: str) -> str:
    """Return ``value`` as a PromQL string; JSON's escapes are a subset of Go's."""
    return json.dumps(value, ensure_ascii=False)
