"""What the documentation tells people to type and to write, taken from the pages themselves."""

from __future__ import annotations

import re
import textwrap

import yaml

from demo.stack.tools import REPOSITORY

_PAGE = (REPOSITORY / "docs/ssh.md").read_text(encoding="utf-8")
_AGENT = "zstack-kvmagent"


def block(page: str, first: str) -> str:
    """Return the indented block of docs/``page`` whose first line begins with ``first``."""
    text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
    blocks = re.findall(r"(?:^ {4}.*\n)+", text, re.MULTILINE)
    found = [each for each in map(textwrap.dedent, blocks) if each.startswith(first)]
    assert len(found) == 1, f"{page}: {len(found)} blocks begin with {first!r}"
    return found[0]


def sudoers(*units: str) -> str:
    """Return the documented sudoers line, one for each unit."""
    (line,) = re.findall(r"^ +(memleash ALL=.+)$", _PAGE, re.MULTILINE)
    assert f"{_AGENT}.service" in line
    return "".join(f"{line}\n".replace(f"{_AGENT}.service", unit) for unit in units)


def clearing_sudoers(unit: str) -> str:
    """Return the documented sudoers line of a restart that clears systemd's count of starts."""
    return block("systemd.md", "memleash ALL=").replace(f"{_AGENT}.service", unit)


def clearing_command(unit: str) -> str:
    """Return the documented restart command that clears systemd's count of starts."""
    settings = yaml.safe_load(block("systemd.md", "restart_command:"))
    return str(settings["restart_command"]).replace(f"{_AGENT}.service", unit)


def forced_command(command: str) -> str:
    """Return the documented forced command, which knows ``command`` and no other."""
    script: str
    (script,) = re.findall(r"^```sh\n(#!/bin/sh\n.+?)^```$", _PAGE, re.MULTILINE | re.DOTALL)
    word = f'"restart {_AGENT}")'
    assert word in script
    knows = script.replace(word, f'"{command}")')
    return knows.replace(f"sudo -n systemctl restart {_AGENT}.service", command)


def authorized_key(public_key: str, *, forced: bool) -> str:
    """Return the documented line of authorized_keys."""
    options = "restrict"
    if forced:
        (options,) = re.findall(r"^ +(restrict,command=\S+) ssh-ed25519", _PAGE, re.MULTILINE)
    return f"{options} {public_key}\n"


def recipe(heading: str) -> dict[str, str]:
    """Return the files of /etc/memleash that a recipe of docs/controllers.md shows, by name."""
    text = (REPOSITORY / "docs/controllers.md").read_text(encoding="utf-8")
    section = text.partition(f"### {heading}\n")[2].partition("\n## ")[0]
    files = re.findall(r"^```yaml\n# /etc/memleash/(\S+)\n(.*?)^```$", section, re.M | re.S)
    assert files, f"{heading}: no files"
    return dict(files)


def recipe_sudoers(heading: str) -> str:
    """Return the line of sudoers that a recipe of docs/controllers.md shows."""
    text = (REPOSITORY / "docs/controllers.md").read_text(encoding="utf-8")
    section = text.partition(f"### {heading}\n")[2].partition("\n## ")[0]
    (line,) = re.findall(r"^ +(memleash ALL=.+)$", section, re.MULTILINE)
    return f"{line}\n"
