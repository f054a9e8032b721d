"""The sets of rules that are measured: ours, and beside them those of another revision or folder.

One Prometheus evaluates both on what it has scraped once. So what the old set records, and its
alerts and groups, have other names.
"""

import re
import subprocess
from pathlib import Path

from demo.stack.tools import REPOSITORY

NEW, OLD = "new", "old"

_ALERT = re.compile(r"^(\s+- alert: )", re.MULTILINE)
_GROUP = re.compile(r"^(\s+- name: )", re.MULTILINE)
_OLD_GROUP = f"{OLD}."


def write(folder: Path, old: str | None) -> None:
    """Writes our rule files into ``folder``, and those of ``old`` (a folder or a revision)."""
    for name, text in _files(REPOSITORY / "rules").items():
        (folder / f"{NEW}-{name}").write_text(text)
    if old is None:
        return
    files = _files(Path(old)) if Path(old).is_dir() else _revision(old)
    for name, text in files.items():
        (folder / f"{OLD}-{name}").write_text(renamed(text))


def renamed(text: str) -> str:
    """Returns a rule file that writes nothing under the names of ours."""
    text = _ALERT.sub(r"\1Old", text.replace("memleash:", "old:"))
    return _GROUP.sub(rf"\1{_OLD_GROUP}", text)


def of(group: str) -> tuple[str, str]:
    """Returns the set that a group belongs to, and the group's name without it."""
    name = group.removeprefix(_OLD_GROUP)
    return (NEW if name == group else OLD), name


def _files(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.glob("*.rules.yml")}


def _revision(name: str) -> dict[str, str]:
    """Returns the rule files of a revision of this repository."""
    paths = _git("ls-tree", "--name-only", name, "rules/").splitlines()
    return {
        Path(path).name: _git("show", f"{name}:{path}")
        for path in paths
        if path.endswith(".rules.yml")
    }


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return done.stdout
