"""The configuration reference is true: what it shows are the defaults, and it shows every key."""

from __future__ import annotations

import dataclasses
import re
import typing
from pathlib import Path
from typing import Annotated, Any

from memleash_responder.core.policy import Guards
from memleash_responder.settings import Agent, InventorySettings, Readiness, Settings
from memleash_toolkit.settings import build, parse_yaml
from memleash_toolkit.values import ByKind

REFERENCE = Path(__file__).parents[3] / "docs/configuration.md"
OWN_PAGES = {
    "access": "access.md",
    "controller_settings": "controllers.md",
    "diagnosis_settings": "diagnoses.md",
    "notify_settings": "notifications.md",
}
"""By the module that has the sections."""


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
    missing = {
        f"{one.__name__}.{field.name}"
        for one in sections(Settings)
        for field in dataclasses.fields(one)
        if field.name not in re.findall(r"[a-z_]+", reference() + own_page(one))
    }
    assert missing == set()


def sections(of: Any) -> set[Any]:
    """Return every section of the file that a value of type ``of`` is read from."""
    if typing.get_origin(of) is Annotated:
        kind, mark = typing.get_args(of)
        return sections(kind) if isinstance(mark, ByKind) else set()
    is_section = dataclasses.is_dataclass(of)
    hints = typing.get_type_hints(of, include_extras=True) if is_section else {}
    parts = (*hints.values(), *typing.get_args(of))
    return set().union({of} if is_section else (), *map(sections, parts))


def own_page(section: Any) -> str:
    """Return the page that the reference names in the place of the keys of ``section``."""
    name = OWN_PAGES.get(section.__module__.rpartition(".")[2])
    if name is None:
        return ""
    assert f"see {name}" in reference()
    return REFERENCE.with_name(name).read_text()
