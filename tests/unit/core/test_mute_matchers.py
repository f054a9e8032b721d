"""Matchers in amtool's notation, and those that may not mute."""

from __future__ import annotations

import pytest

from memleash_responder.core.matchers import (
    Matcher,
    check_blocking_matchers,
    check_mute_matchers,
    parse_matcher,
    parse_matchers,
)

TRIGGERS = ("AgentMemoryHardLimitExceeded", "AgentBusy")


@pytest.mark.parametrize(
    ("text", "matcher"),
    [
        ('alertname="HostPingFailed"', Matcher("alertname", "HostPingFailed")),
        ("alertname=HostPingFailed", Matcher("alertname", "HostPingFailed")),
        (' job != "ping" ', Matcher("job", "ping", is_equal=False)),
        ('a=~"b|c"', Matcher("a", "b|c", is_regex=True)),
        ('a!~"b.*"', Matcher("a", "b.*", is_regex=True, is_equal=False)),
        (r'a="say \"hi\""', Matcher("a", 'say "hi"')),
        ('a=""', Matcher("a", "")),
        ("a=", Matcher("a", "")),
    ],
)
def test_amtools_notation_is_understood(text: str, matcher: Matcher) -> None:
    assert parse_matcher(text) == matcher


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("HostPingFailed", "must be a matcher such as"),
        ("9a=b", "must be a matcher such as"),
        ('a="b', "a value that is quoted text"),
        ('a=b"', "a quote at both ends"),
        ("a=~(", "a regular expression that is one"),
    ],
)
def test_what_is_no_matcher_is_refused_with_the_reason(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_matcher(text)


@pytest.mark.parametrize(
    ("matcher", "holds"),
    [
        (Matcher("a", "b"), True),
        (Matcher("a", "B"), False),
        (Matcher("a", "b", is_equal=False), False),
        (Matcher("none", "", is_equal=True), True),
        (Matcher("a", "b|c", is_regex=True), True),
        (Matcher("a", ".", is_regex=True), True),
        (Matcher("a", "", is_regex=True), False),
        (Matcher("a", "x.*", is_regex=True, is_equal=False), True),
    ],
)
def test_a_matcher_holds_as_in_alertmanager(matcher: Matcher, holds: bool) -> None:
    assert matcher.matches({"a": "b"}) is holds


@pytest.mark.parametrize(
    "texts",
    [
        ['alertname="HostPingFailed"'],
        ['alertname=~"HostPing.*"', 'team="a"'],
        ['alertname!="AgentBusy"', 'alertname=~"Host.*"'],
    ],
)
def test_matchers_that_name_the_pings_alone_are_allowed(texts: list[str]) -> None:
    check_mute_matchers(map(parse_matcher, texts), TRIGGERS)


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (['alertname=~".*"'], "would silence AgentMemoryHardLimitExceeded"),
        (['alertname!="AgentMemoryHardLimitExceeded"'], "would silence AgentBusy"),
        (['severity="critical"'], "must be a matcher on alertname"),
        (['alertname="HostPingFailed"', 'host="x"'], "matcher on host is not allowed"),
        ([], "must be a matcher on alertname"),
    ],
)
def test_a_mute_that_would_cover_the_responders_own_triggers_is_refused(
    texts: list[str], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        check_mute_matchers(map(parse_matcher, texts), TRIGGERS)


def test_a_posix_class_which_alertmanager_reads_otherwise_is_refused() -> None:
    """Seen: [[:alpha:]]+ passed the check, and silenced the responder's own triggers."""
    with pytest.raises(ValueError, match="must have a class such as"):
        parse_matcher('alertname=~"[[:alpha:]]+"')


@pytest.mark.parametrize(
    ("text", "matchers"),
    [
        ('severity="critical"', [Matcher("severity", "critical")]),
        (
            'severity="critical", team=~"a,b|c"',
            [Matcher("severity", "critical"), Matcher("team", "a,b|c", is_regex=True)],
        ),
        (r'a="x\",y",b!=c', [Matcher("a", 'x",y'), Matcher("b", "c", is_equal=False)]),
    ],
)
def test_several_matchers_are_parted_at_the_commas_outside_of_quotes(
    text: str, matchers: list[Matcher]
) -> None:
    assert list(parse_matchers(text)) == matchers


@pytest.mark.parametrize("text", ["", ",", 'a="b",', 'a="b",,c="d"', 'a="b', '{a="b"}', "a=b c=d,"])
def test_what_is_no_list_of_matchers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_matchers(text)


@pytest.mark.parametrize("name", ["alertstate", "__name__"])
def test_what_fires_is_asked_for_anyway(name: str) -> None:
    with pytest.raises(ValueError, match=f"a matcher on {name} is not allowed"):
        check_blocking_matchers([Matcher("team", "x"), Matcher(name, "pending")])
