"""The configuration reference is true: what it shows are the defaults, and it shows every key."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from memleash_responder.core.policy import Guards
from memleash_responder.settings import Agent, InventorySettings, Readiness, Settings
from memleash_toolkit.settings import build, parse_yaml

REFERENCE = Path(__file__).parents[3] / "docs/configuration.md"


def reference() -> str:
    blocks: list[str] = re.findall(r"```yaml\n(.*?)```", REFERENCE.read_text(), re.DOTALL)
    (text,) = blocks
    return text


def test_what_the_reference_shows_are_the_defaults() -> None:
    shown = build(Settings, parse_yaml(reference(), REFERENCE), REFERENCE)
    command = "sudo -n systemctl restart example-agent.service"
    defaults = Settings(
        inventory=InventorySettings((REFERENCE.parent / "hosts/*.yml",)),
        agents={"example-agent": Agent(command, guards=Guards(), readiness=Readiness())},
    )
    assert shown == defaults


def test_the_reference_names_every_key() -> None:
    classes = [Settings, Agent, Guards, Readiness]
    sections = [type(getattr(_defaults(), field.name)) for field in dataclasses.fields(Settings)]
    classes += [section for section in sections if dataclasses.is_dataclass(section)]
    named = set(re.findall(r"[a-z_]+", reference()))
    keys = {field.name for one in classes for field in dataclasses.fields(one)}
    elsewhere = {"tokens", "users", "certificates", "anonymous"}  # docs/access.md
    assert keys - named - elsewhere == set()


def _defaults() -> Settings:
    return Settings(inventory=InventorySettings(()), agents={})
