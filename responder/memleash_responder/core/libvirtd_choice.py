"""Whether a controller is told to restart libvirtd when it takes a host back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated

from memleash_responder.core.inventory_labels import RESTART_LIBVIRTD, yes_or_no
from memleash_responder.core.matchers import Matcher, parse_matcher
from memleash_toolkit.values import Parser, parse_line

_RULE_FORM = 'must be true, false, or a list of label matchers such as cluster="c-7"'


def _rule(value: object) -> bool | tuple[Matcher, ...]:
    if isinstance(value, bool):
        return value
    if isinstance(value, list) and value:
        try:
            return tuple(parse_matcher(parse_line(one)) for one in value)
        except ValueError as error:
            raise ValueError(_RULE_FORM) from error
    raise ValueError(_RULE_FORM)


LibvirtdRule = Annotated[bool | tuple[Matcher, ...], Parser(_rule)]
"""For every host, for none, or for the groups of hosts with a label that matches."""


@dataclasses.dataclass(frozen=True, slots=True)
class LibvirtdChoice:
    """What one controller is told, and who says so."""

    restart_libvirtd: bool
    because: str


def choose_libvirtd(
    labels: Mapping[str, str],
    of_agent: bool | tuple[Matcher, ...] | None,
    of_controller: bool | tuple[Matcher, ...] | None,
) -> LibvirtdChoice:
    """Return what a controller is told about a host with these ``labels``.

    The nearest word wins: the host's own label, the agent's setting, the controller's, else no.
    """
    own = yes_or_no(labels, RESTART_LIBVIRTD)
    if own is not None:
        return LibvirtdChoice(own, "the host's label")
    settings = ((of_agent, "the agent's setting"), (of_controller, "the controller's setting"))
    for rule, whose in settings:
        if isinstance(rule, bool):
            return LibvirtdChoice(rule, whose)
        if rule is not None and any(matcher.matches(labels) for matcher in rule):
            return LibvirtdChoice(True, f"{whose} for the host's group")
    return LibvirtdChoice(False, "the default")
