"""restart_libvirtd: the host's label, the agent's setting, the controller's, else no."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memleash_responder.controller_settings import HttpControllerSettings
from memleash_responder.core.inventory_labels import yes_or_no
from memleash_responder.core.libvirtd_choice import choose_libvirtd
from memleash_responder.core.matchers import Matcher
from memleash_toolkit.settings import ConfigError, build

OLD = (Matcher("cluster", "old"), Matcher("zone", "z1"))
Rule = bool | tuple[Matcher, ...] | None


@pytest.mark.parametrize(
    ("labels", "of_agent", "of_controller", "restarts", "because"),
    [
        ({}, None, None, False, "the default"),
        ({}, None, True, True, "the controller's setting"),
        ({}, False, True, False, "the agent's setting"),
        ({}, True, False, True, "the agent's setting"),
        ({"cluster": "old"}, None, OLD, True, "the controller's setting for the host's group"),
        ({"zone": "z1"}, OLD, False, True, "the agent's setting for the host's group"),
        ({"cluster": "new"}, OLD, OLD, False, "the default"),
        ({"cluster": "new"}, OLD, True, True, "the controller's setting"),
        ({"cluster": "old", "restart_libvirtd": "no"}, OLD, True, False, "the host's label"),
        ({"restart_libvirtd": "Yes"}, False, False, True, "the host's label"),
        ({"restart_libvirtd": ""}, True, None, True, "the agent's setting"),
    ],
)
def test_the_nearest_word_wins(
    labels: dict[str, str], of_agent: Rule, of_controller: Rule, restarts: bool, because: str
) -> None:
    choice = choose_libvirtd(labels, of_agent, of_controller)
    assert (choice.restart_libvirtd, choice.because) == (restarts, because)


@pytest.mark.parametrize("word", ["true", "True", "TRUE", "yes", "Yes", "on", "ON", "y", "Y"])
def test_every_way_in_which_yaml_writes_true_is_true(word: str) -> None:
    assert yes_or_no({"maintenance": word}, "maintenance") is True


@pytest.mark.parametrize("word", ["false", "False", "no", "NO", "off", "Off", "n", "N"])
def test_every_way_in_which_yaml_writes_false_is_false(word: str) -> None:
    assert yes_or_no({"maintenance": word}, "maintenance") is False


@pytest.mark.parametrize("rule", ["yes", [], {}, ["cluster"], [7], 1, ['a="b'], ['a=~"("']])
def test_a_rule_that_cannot_be_understood_is_refused(rule: Any) -> None:
    with pytest.raises(ConfigError, match=r"restart_libvirtd"):
        build(HttpControllerSettings, {"name": "mn-1", "restart_libvirtd": rule}, Path("x.yml"))
