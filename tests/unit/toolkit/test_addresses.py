"""Addresses: what can be one, and what is refused however near it comes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memleash_toolkit.addresses import (
    Url,
    parse_base_url,
    parse_host_and_port,
    parse_port,
    parse_ssh_address,
    parse_url,
    parse_url_path,
    parse_url_template,
)

HOST_AGENT = ("host", "agent")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://h", Url("http", "h", 80, "/")),
        ("https://h/x?y=1#z", Url("https", "h", 443, "/x?y=1")),
        ("http://[::1]:8080/", Url("http", "::1", 8080, "/")),
        ("http://[fe80::1%eth0]:8080/", Url("http", "fe80::1%eth0", 8080, "/")),
        ("http://[fe80::1%25eth0]/", Url("http", "fe80::1%eth0", 80, "/")),
        ("http://10.0.0.1:65535/a%20b", Url("http", "10.0.0.1", 65535, "/a%20b")),
        ("http://a_b.example.org./", Url("http", "a_b.example.org.", 80, "/")),
    ],
)
def test_a_url_is_taken_apart(text: str, url: Url) -> None:
    assert parse_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        *("", "h", "h:80", "//h/", "ftp://h/", "HTTP://h/", "http:h", "http:///x", "http://"),
        *("http://:80/", "http://?x", "http://u:p@h/", "http://u@h/", "http://h/ x", "http://h/\n"),
        *(
            " http://h/",
            "http://h /",
            "http://h\t/",
            "http://h:0/",
            "http://h:65536/",
            "http://h:/",
        ),
        *("http://h:99999/", "http://h:8o/", "http://h:-1/", "http://h:+1/", "http://h:٣/"),
        *("http://[::1/", "http://::1/", "http://[h]/", "http://[]/", "http://[::1%]/"),
        *(
            "http://[1.2.3.4]/",
            "http://[::g]/",
            "http://1.2.3/",
            "http://1.2.3.256/",
            "http://a..b/",
        ),
        *("http://-a/", "http://a-/", "http://" + "a" * 64 + "/", "http://" + "a." * 127 + "a/"),
        *("http://ä/", "http://h/ä", "http://h\\x/", 'http://h/"', "http://h/<x>", "http://h/{x}"),
    ],
)
def test_what_is_no_plain_url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be http\(s\)://host\[:port\]\[/path\]"):
        parse_url(text)


def test_a_base_url_has_no_slash_at_its_end_and_no_query() -> None:
    assert parse_base_url("http://h/prometheus/") == "http://h/prometheus"
    for text in ("http://h/?x", "http://h/#x"):
        with pytest.raises(ValueError, match="must end with a host, port or path"):
            parse_base_url(text)


@pytest.mark.parametrize(
    "text", ["http://h/{host}/{agent}", "http://{host}:80/", "http://h/?h={host}", "http://h/"]
)
def test_a_template_is_filled_with_its_fields(text: str) -> None:
    assert parse_url_template(text, HOST_AGENT) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("http://h/{host.__class__}", "must have nothing in braces but {host} and {agent}"),
        ("http://h/{host[0]}", "must have nothing in braces but {host} and {agent}"),
        ("http://h/{host!r}", "must have nothing in braces but {host} and {agent}"),
        ("http://h/{host:>1000000000}", "must have nothing in braces but {host} and {agent}"),
        ("http://h/{host:{agent}}", "must have nothing in braces but {host} and {agent}"),
        ("http://h/{}", "must have nothing in braces but {host} and {agent}"),
        ("http://h/{0}", "must have nothing in braces but {host} and {agent}"),
        ("http://h/{zone}", "must have nothing in braces but {host} and {agent}"),
        ("http://h/{ host }", "must have nothing in braces but {host} and {agent}"),
        ("http://h/{host", "must have no brace but those of {host} and {agent}"),
        ("http://h/}", "must have no brace but those of {host} and {agent}"),
        ("http://h/{{host}}", "must be http(s)://"),
        ("http://h:{agent}/", "must be http(s)://"),
        ("ftp://h/{host}", "must be http(s)://"),
    ],
)
def test_a_template_reaches_into_nothing(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match="must") as caught:
        parse_url_template(text, HOST_AGENT)
    assert str(caught.value).startswith(problem)


def test_a_path_of_a_url_begins_with_a_slash() -> None:
    assert parse_url_path("/metrics?x=1") == "/metrics?x=1"
    for text in ("", "metrics", "/a b", "/a#b", "/a\n", "/ä"):
        with pytest.raises(ValueError, match="must be a path that begins with /"):
            parse_url_path(text)


@pytest.mark.parametrize("value", [0, -1, 65536, 99999, True, None, 1.5, "", "x", "+1", "٣", [1]])
def test_what_is_no_port_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="must be a port from 1 to 65535"):
        parse_port(value)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("h:1", ("h", 1)),
        ("[::1]:22", ("::1", 22)),
        ("[fe80::1%eth0]:10058", ("fe80::1%eth0", 10058)),
        ("10.0.0.1:65535", ("10.0.0.1", 65535)),
    ],
)
def test_an_address_is_taken_apart(text: str, parts: tuple[str, int]) -> None:
    assert parse_host_and_port(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "h",
        "h:",
        ":1",
        "h:0",
        "h:65536",
        "h:1x",
        "::1:22",
        "[h]:1",
        "]:[",
        "a b:1",
        "u@h:1",
        "h:1\n",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be host:port"):
        parse_host_and_port(text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("node-7", ("node-7", None)),
        ("node-7:2222", ("node-7", 2222)),
        ("::1", ("::1", None)),
        ("[::1]", ("::1", None)),
        ("[::1]:2222", ("::1", 2222)),
        ("fe80::1%eth0", ("fe80::1%eth0", None)),
        ("[fe80::1%eth0]:2222", ("fe80::1%eth0", 2222)),
        ("10.0.0.1", ("10.0.0.1", None)),
    ],
)
def test_where_ssh_goes_is_taken_apart(text: str, parts: tuple[str, int | None]) -> None:
    assert parse_ssh_address(text) == parts


@pytest.mark.parametrize(
    "text", ["]:[", "[]:22", "-oProxyCommand=id", "u@h", "h:0", "a b", "", "[h]"]
)
def test_where_ssh_cannot_go_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a name, an address or an ssh_config alias"):
        parse_ssh_address(text)


@given(st.text(max_size=30) | st.text("[]:%.-/{}@0123456789abf", max_size=30))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    for parse in (parse_url, parse_base_url, parse_host_and_port, parse_ssh_address):
        for tried in (text, "http://h/" + text, "http://" + text):
            with contextlib.suppress(ValueError):
                parse(tried)
