"""What is believed of an exporter's text, and what is not."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memleash_responder.adapters.exporter import agent_facts
from memleash_responder.core.facts import AgentFacts, Unknown

SCRAPE = """\
# HELP memleash_agent_up 1 found, 0 surely not running.
# TYPE memleash_agent_up gauge
memleash_agent_up{agent="kvm"} 1
memleash_agent_up{agent="salt"} 0
memleash_agent_resident_memory_bytes{agent="kvm"} 1.1811160064e+10
memleash_agent_limited_memory_bytes{agent="kvm"} 1.2884901888e+10
memleash_agent_start_time_seconds{agent="kvm"} 1.76382e+09
memleash_agent_memory_alarm_threshold_bytes{agent="kvm"} 0
memleash_agent_memory_hard_limit_bytes{agent="kvm"} 1.073741824e+10
memleash_agent_busy{agent="kvm"} 0
memleash_agent_busy_source{agent="kvm",source="markers"} 1
memleash_agent_ready{agent="kvm"} 1
memleash_agent_threads{agent="kvm"} 41
process_resident_memory_bytes 2.4e+07
"""


def test_every_metric_of_the_contract_becomes_its_fact() -> None:
    assert agent_facts(SCRAPE) == {
        "kvm": AgentFacts(
            up=True,
            start_time=1.76382e9,
            resident_bytes=11 * 1024**3,
            limited_bytes=12 * 1024**3,
            alarm_threshold_bytes=0,
            hard_limit_bytes=10 * 1024**3,
            busy=False,
            ready=True,
        ),
        "salt": AgentFacts(up=False),
    }


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "-1", "9" * 400, "1e19"])
@pytest.mark.parametrize(
    ("metric", "field"),
    [
        ("memleash_agent_up", "up"),
        ("memleash_agent_start_time_seconds", "start_time"),
        ("memleash_agent_resident_memory_bytes", "resident_bytes"),
        ("memleash_agent_resident_memory_bytes", "limited_bytes"),
        ("memleash_agent_limited_memory_bytes", "limited_bytes"),
        ("memleash_agent_memory_alarm_threshold_bytes", "alarm_threshold_bytes"),
        ("memleash_agent_memory_hard_limit_bytes", "hard_limit_bytes"),
        ("memleash_agent_busy", "busy"),
        ("memleash_agent_ready", "ready"),
    ],
)
def test_an_absurd_value_is_unknown_and_never_zero(metric: str, field: str, value: str) -> None:
    facts = agent_facts(f'{metric}{{agent="a"}} {value}\n')["a"]
    assert isinstance(getattr(facts, field), Unknown)


def test_an_exporter_older_than_limited_memory_holds_its_limits_against_resident_memory() -> None:
    resident = 'memleash_agent_resident_memory_bytes{agent="a"} 7\n'
    success = 'memleash_agent_sample_success{agent="a"} 1\n'
    for older in (resident, resident + success):
        assert agent_facts(older)["a"].limited_bytes == 7


@pytest.mark.parametrize("success", ["0", "NaN", "2"])
def test_limited_memory_that_the_exporter_cannot_tell_is_unknown_and_not_resident_memory(
    success: str,
) -> None:
    facts = agent_facts(
        'memleash_agent_resident_memory_bytes{agent="a"} 7\n'
        f'memleash_agent_sample_success{{agent="a"}} {success}\n'
    )["a"]
    assert facts.resident_bytes == 7
    assert facts.limited_bytes == Unknown(
        "the exporter cannot tell memleash_agent_limited_memory_bytes; its log says why"
    )


@pytest.mark.parametrize("value", ["2", "0.5"])
def test_a_truth_that_is_neither_0_nor_1_is_unknown(value: str) -> None:
    facts = agent_facts(f'memleash_agent_busy{{agent="a"}} {value}\n')["a"]
    assert facts.busy == Unknown("the exporter's memleash_agent_busy cannot be believed")


def test_a_sample_of_another_time_is_unknown() -> None:
    text = 'memleash_agent_up{agent="a"} 1 1700000000000\nmemleash_agent_busy{agent="a"} 0\n'
    assert agent_facts(text) == {
        "a": AgentFacts(
            up=Unknown("the exporter's memleash_agent_up cannot be believed"), busy=False
        )
    }


def test_a_line_that_would_take_minutes_to_parse_is_refused_at_once() -> None:
    escaped_quotes = '\\"' * 1_000_000
    with pytest.raises(ValueError, match="a line of more than 4096 characters"):
        agent_facts(f'memleash_agent_up{{agent="{escaped_quotes}"}} 1\n')


def test_samples_without_an_agent_are_passed_over() -> None:
    assert agent_facts("memleash_agent_up 1\n") == {}


def test_an_agent_name_may_hold_quotes_and_newlines() -> None:
    assert set(agent_facts('memleash_agent_up{agent="a\\"b\\nc\\\\"} 1\n')) == {'a"b\nc\\'}


def test_a_sample_that_is_there_twice_with_two_values_is_refused() -> None:
    text = 'memleash_agent_busy{agent="a"} 0\nmemleash_agent_busy{agent="a"} 1\n'
    with pytest.raises(ValueError, match="twice for agent 'a', with different values"):
        agent_facts(text)


@pytest.mark.parametrize(
    "text",
    [
        "<html>It works!</html>",
        'memleash_agent_up{agent="a"} one\n',
        'memleash_agent_up{agent="a"\n',
        'memleash_agent_up{agent="a"}\n',
        '{"error": "not metrics"}',
        'memleash_agent_up{agent="a"} 1_0\n',
        'memleash_agent_threads{agent="a"} 1 ' + "9" * 400,
    ],
)
def test_text_that_is_not_the_format_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not the Prometheus text format"):
        agent_facts(text)


VALUES = st.integers() | st.floats() | st.sampled_from(["9" * 400, "9" * 5000, "1e999", "0x1", "-"])


@given(VALUES, VALUES | st.just(""), st.sampled_from(["up", "start_time_seconds", "busy", "other"]))
def test_any_value_and_any_time_give_facts_or_a_value_error(
    value: object, at: object, name: str
) -> None:
    with contextlib.suppress(ValueError):
        agent_facts(f'memleash_agent_{name}{{agent="a"}} {value} {at}\n')


@pytest.mark.one_python
@given(st.text() | st.text(alphabet='memleash_agent_up{}="\\ 10\n#TYPE,a'))
def test_any_text_gives_facts_or_a_value_error_and_nothing_else(text: str) -> None:
    with contextlib.suppress(ValueError):
        agent_facts(text)
