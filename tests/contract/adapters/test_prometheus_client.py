"""Prometheus's client: which answers give a limit, and which give none."""

from __future__ import annotations

import urllib.parse
from typing import Any

import pytest

from memleash_responder.adapters.prometheus import PrometheusClient, one_of
from memleash_responder.core.matchers import parse_matcher
from memleash_responder.errors import FactsUnavailable
from memleash_responder.settings import Prometheus
from memleash_toolkit.values import Duration
from tests.contract.adapters.peer import Peer, Raw, Reply, as_json

TEN_GIB = 10 * 1024**3
NOW = 1_800_000_000.0
OURS = {"host": "h", "agent": "a"}
GOOD = (("value", TEN_GIB), ("age", 3))


def vector(
    *samples: tuple[str, object], at: object = NOW, of: object = OURS, **beside: Any
) -> Reply:
    """An answer with (part, value) samples as Prometheus writes them, evaluated ``at`` a time."""
    result = [
        {
            "metric": {**of, "memleash_part": part} if isinstance(of, dict) else of,
            "value": [at, value if isinstance(value, bool | list) else str(value)],
        }
        for part, value in samples
    ]
    return as_json(
        {"status": "success", "data": {"resultType": "vector", "result": result}, **beside}
    )


def client(peer: Peer, **changes: Any) -> PrometheusClient:
    given = {"url": peer.url, "timeout": Duration(1), **changes}
    return PrometheusClient(Prometheus(**given), max_sample_age_seconds=60)


def asked_query(peer: Peer) -> str:
    (query,) = urllib.parse.parse_qs(urllib.parse.urlsplit(peer.asked[-1].path).query)["query"]
    return query


@pytest.mark.parametrize(
    ("samples", "limit"),
    [
        ([("value", TEN_GIB), ("age", 3)], TEN_GIB),
        ([("value", "1.073741824e+10"), ("age", 60)], TEN_GIB),
        ([("value", 0), ("age", 3)], 0),
        ([("value", TEN_GIB), ("age", -0.2)], TEN_GIB),
    ],
    ids=["bytes", "exponent, at the age", "off", "recorded just now"],
)
def test_a_fresh_unambiguous_sample_is_the_limit(
    peer: Peer, samples: list[tuple[str, object]], limit: int
) -> None:
    peer.answer = lambda _: vector(*samples)
    assert client(peer).hard_limit_bytes("h", "a", NOW) == limit


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (vector(), "has no sample; are memleash's rules loaded?"),
        (vector(("value", TEN_GIB)), "has no sample"),
        (vector(("value", TEN_GIB), ("age", 61)), "is 61 s old, at most 60 s are believed"),
        (vector(("value", TEN_GIB), ("age", "NaN")), "is 'NaN' s old"),
        (vector(("value", TEN_GIB), ("age", "-Inf")), "is '-Inf' s old, which is no age"),
        (vector(("value", TEN_GIB), ("age", -600)), "is '-600' s old, which is no age"),
        (vector(("value", 1), ("value", 2), ("age", 1)), "has several series: 1, 2"),
        (vector(("value", 1), ("age", 1), ("value", 1), ("age", 1)), "has several series: 1, 1"),
        (vector(("value", "NaN"), ("age", 1)), "is 'NaN', which is no limit"),
        (vector(("value", "+Inf"), ("age", 1)), "is '+Inf', which is no limit"),
        (vector(("value", -1), ("age", 1)), "is '-1', which is no limit"),
        (vector(("value", True), ("age", 1)), "is 'bool', which is no limit"),
        (vector(("value", "true"), ("age", 1)), "is 'true', which is no limit"),
        (vector(("value", "1_000"), ("age", 1)), "is '1_000', which is no limit"),
        (vector(("value", " 7 "), ("age", 1)), "is '7', which is no limit"),
        (vector(("value", "\u0667"), ("age", 1)), "which is no limit"),
        (vector(("value", "9" * 400), ("age", 1)), "…', which is no limit"),
        (vector(("value", "1e19"), ("age", 1)), "is '1e19', which is no limit"),
        (vector(*GOOD, at=NOW - 86_400), "; do the clocks agree?"),
        (vector(*GOOD, at=NOW + 600), "; do the clocks agree?"),
        (vector(*GOOD, at="now"), "was evaluated at no moment"),
        (vector(*GOOD, at=True), "was evaluated at no moment"),
        (vector(*GOOD, at=10**400), "was evaluated at no moment"),
        (vector(*GOOD, of={"host": "h", "agent": "b"}), 'was answered for {"agent": "b", "host"'),
        (vector(*GOOD, of={"host": "i", "agent": "a"}), "was answered for {"),
        (vector(*GOOD, of={}), "was answered for {"),
        (vector(*GOOD, of={"host": 7, "agent": "a"}), "not an instant vector"),
        (vector(*GOOD, of=[]), "not an instant vector"),
        (vector(*GOOD, ("value", TEN_GIB), of=OURS | {"replica": "b"}), "has several series"),
        (vector(("other", 1), *GOOD), "was answered with {"),
        (vector(("value", 1), ("age", 1), warnings=["a store is gone"]), "a store is gone"),
        (vector(("value", 1), ("age", 1), isPartial=True), "may be partial"),
        (as_json({"status": "error", "error": "x", "data": {"result": []}}), "the query failed"),
        (as_json({"status": "error", "error": "parse"}, 400), "answered 400"),
        (as_json({"status": "success", "data": None}), "not a query's answer"),
        (as_json([]), "not a query's answer"),
        (as_json({"status": "success", "data": {"result": [1.5, "1"]}}), "not an instant vector"),
        (as_json({"status": "success", "data": {"result": {"a": 1}}}), "not a query's answer"),
        (Reply(200, b"[" * 100_000), "the answer is not JSON"),
        (Reply(200, b'{"status": NaN, "data": {"result": NaN}}'), "not a query's answer"),
        (Reply(200, b"<html>"), "the answer is not JSON"),
        (Reply(503, b"starting"), "answered 503: starting"),
        (Raw(), "GET "),
        (Raw(hang=True), "no whole answer within 1 s"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_any_doubt_is_facts_unavailable(peer: Peer, answer: Reply | Raw, why: str) -> None:
    peer.answer = lambda _: answer
    with pytest.raises(FactsUnavailable) as caught:
        client(peer).hard_limit_bytes("h", "a", NOW)
    assert str(caught.value).startswith("Prometheus: ")
    assert why in str(caught.value)


def test_notes_that_are_no_warnings_do_not_matter(peer: Peer) -> None:
    peer.answer = lambda _: vector(("value", 1), ("age", 1), infos=["not a counter"], warnings=[])
    assert client(peer).hard_limit_bytes("h", "a", NOW) == 1


def test_label_values_cannot_leave_their_quotes(peer: Peer) -> None:
    host, agent = 'h"} or vector(0) #', "a\\\n\u00e9"
    peer.answer = lambda _: vector(*GOOD, of={"host": host, "agent": agent})
    assert client(peer).hard_limit_bytes(host, agent, NOW) == TEN_GIB
    assert '{host="h\\"} or vector(0) #",agent="a\\\\\\n\u00e9"}' in asked_query(peer)


def test_whatever_is_told_the_reason_stays_short(peer: Peer) -> None:
    peer.answer = lambda _: vector(*GOOD, of=OURS | {"agent": "x" * 100_000})
    with pytest.raises(FactsUnavailable) as caught:
        client(peer).hard_limit_bytes("h", "a", NOW)
    assert len(str(caught.value)) < 1000


def test_an_overview_leaves_out_what_is_no_number(peer: Peer) -> None:
    samples = [("a", 1), ("b", "NaN"), ("c", True), ("d", "9" * 400), ("e", "1e3")]
    result = [
        {"metric": {"host": "h", "agent": a}, "value": [NOW, v]}
        for a, v in [(a, v if isinstance(v, bool) else str(v)) for a, v in samples]
    ]
    peer.answer = lambda _: as_json({"status": "success", "data": {"result": result}})
    assert client(peer).by_agent("up") == {("h", "a"): 1.0, ("h", "e"): 1000.0}


def test_several_figures_of_each_agent_come_from_one_query(peer: Peer) -> None:
    peer.answer = lambda _: vector(("up", 1), ("busy", "NaN"), ("limit", "1e10"))
    found = client(peer).fields_by_agent({"up": "agent_up", "busy": "agent_busy", "limit": "rule"})

    assert found == {("h", "a"): {"up": 1.0, "limit": 1e10}}
    assert len(peer.asked) == 1
    first, _, _ = asked_query(peer).split(" or ")
    assert first == 'label_replace(max by (host, agent) (agent_up), "memleash_part", "up", "", "")'


def test_a_long_query_is_sent_as_a_form(peer: Peer) -> None:
    peer.answer = lambda _: vector()
    about = one_of("host", [f"node-{number}.example.com" for number in range(200)])
    assert client(peer).by_agent(f"up{{{about}}}") == {}

    (asked,) = peer.asked
    assert (asked.method, asked.path) == ("POST", "/api/v1/query")
    (query,) = urllib.parse.parse_qs(asked.body.decode())["query"]
    assert query == f"max by (host, agent) (up{{{about}}})"


def test_values_are_matched_as_they_are() -> None:
    assert one_of("host", ["n.1", 'q"', "a"]) == r'''host=~"n\\.1|q\"|a"'''


def test_a_prefix_in_the_url_is_kept(peer: Peer) -> None:
    peer.answer = lambda _: vector()
    assert client(peer, url=f"{peer.url}/prometheus/").by_agent("up") == {}
    assert peer.asked[0].path.startswith("/prometheus/api/v1/query?")


def firing(*alerts: tuple[object, object], alive: bool = True, at: object = NOW) -> Reply:
    """An answer with (labels, count) of alerts, and a sign of life, evaluated ``at`` a time."""
    signs = [({"memleash_part": "alive"}, 1)] if alive else []
    result = [{"metric": of, "value": [at, str(count)]} for of, count in (*alerts, *signs)]
    return as_json({"status": "success", "data": {"resultType": "vector", "result": result}})


def test_firing_alerts_are_named_with_how_often_they_fire(peer: Peer) -> None:
    down, full = {"alertname": "StorageDown"}, {"alertname": "DiskFull"}
    peer.answer = lambda _: firing((down, 3), (full, 1))
    selectors = ['severity="critical",team="storage"', 'alertname=~"Net.*"']

    assert client(peer).firing(selectors, NOW) == ("DiskFull", "StorageDown x3")
    query = asked_query(peer)
    assert query.count('ALERTS{alertstate="firing",alertname!~"') == 2
    assert "AgentMemoryHardLimitExceeded|" in query
    assert query.endswith(
        ',alertname=~"Net.*"}) or label_replace(vector(1), "memleash_part", "alive", "", "")'
    )


def test_nothing_fires_when_only_the_sign_of_life_comes(peer: Peer) -> None:
    peer.answer = lambda _: firing()
    assert client(peer).firing(['a="b"'], NOW) == ()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (firing(alive=False), "without a sign of life"),
        (firing(({"alertname": "A"}, 1), alive=False), "without a sign of life"),
        (firing(at=NOW - 61), "ALERTS was evaluated at .* do the clocks agree"),
        (firing(({"alertname": "A"}, "NaN")), "was answered with .*A.* 'NaN'"),
        (firing(({"alertname": "A"}, 0)), "was answered with .*A.* '0'"),
        (firing(({}, 1)), "was answered with {} '1'"),
        (firing(("alert", 1)), "not an instant vector"),
        (as_json({"status": "error", "error": "bad_data"}, 400), "400"),
        (as_json({"status": "success", "data": {"result": []}, "warnings": ["x"]}), "be partial"),
        (Reply(200, b"<html>"), "not JSON|is no JSON|JSON"),
    ],
)
def test_whatever_else_is_said_of_alerts_is_not_believed(
    peer: Peer, answer: Reply, why: str
) -> None:
    peer.answer = lambda _: answer
    with pytest.raises(FactsUnavailable, match=why):
        client(peer).firing(['a="b"'], NOW)


def test_a_prometheus_that_is_silent_says_nothing_of_alerts() -> None:
    gone = PrometheusClient(Prometheus(url="http://127.0.0.1:9"))
    with pytest.raises(FactsUnavailable, match=r"127\.0\.0\.1:9"):
        gone.firing(['a="b"'], NOW)


def alerts(*metrics: dict[str, str], at: float = NOW) -> Reply:
    result = [{"metric": metric, "value": [at, "1"]} for metric in metrics]
    return as_json({"status": "success", "data": {"resultType": "vector", "result": result}})


ALIVE = {"memleash_part": "alive"}
PINGS = [parse_matcher('alertname="HostPingFailed"')]


def test_alerts_about_pings_are_asked_for_by_the_matchers_of_mutes(peer: Peer) -> None:
    peer.answer = lambda _: alerts({"host": 'a"b'}, ALIVE)
    assert client(peer).hosts_with_alerts(PINGS, NOW, host='a"b') == {'a"b'}
    selector = r'{alertstate="firing",alertname="HostPingFailed",host="a\"b"}'
    assert asked_query(peer).startswith(f"count by (host) (ALERTS{selector}) or ")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (alerts(), "without a sign of life"),
        (alerts({"host": "h"}), "without a sign of life"),
        (alerts({"host": "other"}, ALIVE), "was answered with"),
        (alerts({"host": "h", "agent": "a"}, ALIVE), "was answered with"),
        (alerts(ALIVE, at=NOW - 3600), "do the clocks agree"),
        (Reply(503, b"not ready"), "answered 503"),
        (Raw(), "Prometheus: "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_any_other_answer_about_alerts_is_not_believed(
    peer: Peer, answer: Reply | Raw, why: str
) -> None:
    peer.answer = lambda _: answer
    with pytest.raises(FactsUnavailable, match=why):
        client(peer).hosts_with_alerts(PINGS, NOW, host="h")


# -- over time -----------------------------------------------------------------------------------


def matrix(*series: object) -> Reply:
    return as_json({"status": "success", "data": {"resultType": "matrix", "result": list(series)}})


def of(part: str, *values: object) -> dict[str, object]:
    return {"metric": {"memleash_part": part}, "values": list(values)}


def test_values_over_time_come_by_name_and_what_is_no_number_is_left_out(peer: Peer) -> None:
    answer = matrix(of("held", [10, "1"], [25.5, "NaN"], [40, "3"], [55, "x"]))
    peer.answer = lambda _: answer
    found = client(peer).over_time({"held": "a{}", "limit": "b{}"}, 10.0, 60.0, 15.0)
    assert found == {"held": [(10.0, 1.0), (40.0, 3.0)], "limit": []}
    asked = urllib.parse.parse_qs(urllib.parse.urlsplit(peer.asked[-1].path).query)
    assert (asked["start"], asked["end"], asked["step"]) == (["10.000"], ["60.000"], ["15"])


@pytest.mark.parametrize(
    "answer",
    [
        Reply(503, b"starting"),
        Reply(200, b"<html>"),
        matrix({"metric": {"memleash_part": "held"}, "value": [1, "2"]}),
        matrix(of("held", 7)),
        matrix("nonsense"),
        as_json({"status": "success", "data": {"result": {}}}),
    ],
)
def test_an_odd_answer_over_time_is_unavailable(peer: Peer, answer: Reply) -> None:
    peer.answer = lambda _: answer
    with pytest.raises(FactsUnavailable):
        client(peer).over_time({"held": "a{}"}, 0.0, 60.0, 15.0)
