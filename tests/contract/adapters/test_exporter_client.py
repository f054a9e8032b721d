"""The exporter's client: what it asks, and that nothing doubtful becomes a fact."""

from __future__ import annotations

import pytest

from memleash_responder.adapters.exporter import ExporterClient
from memleash_responder.core.facts import AgentFacts, Host
from memleash_responder.core.outcomes import Outcome
from memleash_responder.errors import FactsUnavailable
from memleash_responder.http_settings import BasicAuth
from memleash_responder.settings import Exporter
from memleash_toolkit.values import Duration
from tests.contract.adapters.peer import Peer, Raw, Reply

TEXT = b'memleash_agent_up{agent="kvm"} 1\nmemleash_agent_busy{agent="kvm"} 0\n'
CLIENT = ExporterClient(Exporter(timeout=Duration(1)))


def at(port: int) -> Host:
    return Host("node-1", f"127.0.0.1:{port}", "node-1", {"host": "node-1"})


def test_facts_are_read_from_the_inventorys_address_at_each_call(peer: Peer) -> None:
    peer.answer = lambda _: Reply(200, TEXT)
    assert CLIENT.facts(at(peer.port), "kvm") == AgentFacts(up=True, busy=False)
    peer.answer = lambda _: Reply(200, TEXT.replace(b"} 0", b"} 1"))
    assert CLIENT.facts(at(peer.port), "kvm") == AgentFacts(up=True, busy=True)
    assert peer.paths() == ["GET /metrics", "GET /metrics"]


def test_path_and_credentials_are_the_configurations(peer: Peer) -> None:
    settings = Exporter(metrics_path="/agents", basic_auth=BasicAuth("u", password="p"))
    ExporterClient(settings).scrape(at(peer.port))
    assert peer.paths() == ["GET /agents"]
    assert peer.asked[0].headers["Authorization"] == "Basic dTpw"


def test_an_agent_that_is_not_published_is_named_with_those_that_are(peer: Peer) -> None:
    peer.answer = lambda _: Reply(200, TEXT)
    with pytest.raises(FactsUnavailable, match="publishes no agent 'salt'; it has kvm;"):
        CLIENT.facts(at(peer.port), "salt")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Reply(200, b"<html>"), "is not the Prometheus text format"),
        (Reply(200, b"\xff\xfe"), "codec"),
        (Reply(200, b""), "publishes no agent 'kvm'; it has none"),
        (Reply(204), "answered 204"),
        (Reply(401, b"Unauthorized"), "answered 401: Unauthorized"),
        (Reply(500, b"boom"), "answered 500: boom"),
        (Reply(302, b"", {"Location": "http://evil/"}), "redirects are not followed"),
        (Raw(), "GET http://127.0.0.1:"),
        (Raw(hang=True), "no whole answer within 1 s"),
    ],
    ids=["html", "bytes", "empty", "204", "401", "500", "302", "cut", "hangs"],
)
def test_anything_but_a_scrape_is_facts_unavailable(
    peer: Peer, answer: Reply | Raw, why: str
) -> None:
    peer.answer = lambda _: answer
    with pytest.raises(FactsUnavailable) as caught:
        CLIENT.facts(at(peer.port), "kvm")
    assert str(caught.value).startswith("exporter of node-1: ")
    assert why in str(caught.value)
    assert caught.value.outcome is Outcome.FACTS_UNAVAILABLE


def test_an_exporter_that_is_down_is_facts_unavailable(refusing_port: int) -> None:
    with pytest.raises(FactsUnavailable, match="Connection refused"):
        CLIENT.scrape(at(refusing_port))


def test_an_exporter_that_is_black_holed_is_facts_unavailable(silent_port: int) -> None:
    with pytest.raises(FactsUnavailable, match="no connection within 1 s"):
        CLIENT.scrape(at(silent_port))
