"""The sets of rules that are measured: ours, and beside them those of another revision or folder.

One Prometheus evaluates both on what it has scraped once, in one group, rule after rule: groups of
their own would begin at moments that follow from their names, and run beside each other. What the
old set records, and its alerts, have other names.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from demo.stack.tools import REPOSITORY

NEW, OLD = "new", "old"

Rules = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class RuleSets:
    """What is evaluated, and what each rule belongs to."""

    rules: Rules
    belongs: dict[str, tuple[str, str]]
    """The name of a rule to its set and group."""

    def write(self, file: Path) -> None:
        """Writes one file of rules with one group."""
        file.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": self.rules}]}))


def read(old: str | None) -> RuleSets:
    """Returns our rules, with those of ``old`` (a folder or a revision) group by group between."""
    sets = {NEW: _groups(_files(REPOSITORY / "rules"))}
    if old is not None:
        files = _files(Path(old)) if Path(old).is_dir() else _revision(old)
        sets = {OLD: _groups([_renamed(text) for text in files])} | sets
    rules: Rules = []
    belongs: dict[str, tuple[str, str]] = {}
    for group in sorted({name for groups in sets.values() for name in groups}):
        for of, groups in sets.items():
            for rule in groups.get(group, []):
                rules.append(rule)
                belongs[rule.get("alert") or rule["record"]] = (of, group)
    return RuleSets(rules, belongs)


def _groups(texts: list[str]) -> dict[str, Rules]:
    return {
        group["name"]: group["rules"] for text in texts for group in yaml.safe_load(text)["groups"]
    }


def _renamed(text: str) -> str:
    """Returns a rule file that writes nothing under the names of ours."""
    return text.replace("memleash:", f"{OLD}:").replace("- alert: ", f"- alert: {OLD.title()}")


def _files(folder: Path) -> list[str]:
    return [file.read_text() for file in folder.glob("*.rules.yml")]


def _revision(name: str) -> list[str]:
    """Returns the rule files of a revision of this repository."""
    paths = _git("ls-tree", "--name-only", name, "rules/").splitlines()
    return [_git("show", f"{name}:{path}") for path in paths if path.endswith(".rules.yml")]


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return done.stdout
