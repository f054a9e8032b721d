"""What comes from outside is made into something that can be shown and stored, or into nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memleash_responder.core.untrusted import decimal, line, listed, number, size_bytes, truth

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**4000),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=8,
)


@given(ANYTHING)
def test_anything_at_all_is_a_value_or_nothing(raw: object) -> None:
    for gate in (number, decimal, size_bytes, truth):
        assert isinstance(gate(raw), int | float | None)
    assert line(raw).isprintable()


@pytest.mark.parametrize("raw", [True, "7", None, [], 10**400, float("nan"), float("-inf")])
def test_what_is_no_finite_number_is_none(raw: object) -> None:
    assert number(raw) is None


@pytest.mark.parametrize(
    ("raw", "value"),
    [("7", 7.0), ("1.073741824e+10", 10 * 1024**3), ("-0.5", -0.5), ("0", 0.0)],
)
def test_a_decimal_is_read_as_prometheus_writes_it(raw: str, value: float) -> None:
    assert decimal(raw) == value


@pytest.mark.parametrize(
    "raw", [7, True, "1_000", " 7", "7\n", "\u0667", "NaN", "+Inf", "1e999", ""]
)
def test_what_prometheus_would_not_write_is_no_decimal(raw: object) -> None:
    assert decimal(raw) is None


@pytest.mark.parametrize("raw", [-1, 2**63, 1e300])
def test_no_machine_has_such_a_size(raw: float) -> None:
    assert size_bytes(raw) is None


@given(st.text() | st.text(alphabet="a \n\0\ud800\u202e", max_size=5000), st.integers(2, 400))
def test_a_line_is_one_line_of_its_limit_that_any_database_stores(text: str, limit: int) -> None:
    shown = line(text, limit)
    assert len(shown) <= limit
    assert shown.isprintable()
    shown.encode()


def test_a_line_that_is_cut_says_so() -> None:
    assert line("abc", 3) == "abc"
    assert line("abcd", 3) == "ab…"
    assert line(" " * 10_000 + "a", 10) == "…"


def test_a_long_list_of_names_is_cut_and_counted() -> None:
    names = [str(number) for number in range(100_000)]
    assert listed(names) == "0, 1, 2, 3, 4, 5, 6, 7 and 99,992 more"
    assert listed(["a", "b"]) == "a, b"
    assert listed(["a"], more=2) == "a and 2 more"
    assert listed([]) == ""
    assert len(listed(["x" * 1000] * 1000)) < 1000
