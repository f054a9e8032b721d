"""Which Prometheus and Alertmanager: those on the PATH, or the newest that setup unpacked."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
_NEWEST = REPOSITORY / ".cache/tools/newest/usr/bin"
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


class ToolMissing(Exception):
    """A program that the stack needs is not here; setup installs it."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Where the programs are."""

    prometheus: Path
    alertmanager: Path
    promtool: Path
    amtool: Path
    blackbox_exporter: Path
    sshd: Path

    def versions(self) -> str:
        """Return one line for people: what is being run."""
        programs = {"Prometheus": self.prometheus, "Alertmanager": self.alertmanager}
        return ", ".join(f"{name} {_version(path)}" for name, path in programs.items())


def find(choice: str = "stable") -> Tools:
    """Return the ``stable`` or ``newest`` programs. Raises ToolMissing."""
    folders = {"stable": _PATH, "newest": str(_NEWEST)}
    if choice not in folders:
        raise ToolMissing(f"tools {choice!r} must be one of {', '.join(folders)}")
    path = folders[choice]
    return Tools(
        prometheus=_which(path, "prometheus"),
        alertmanager=_which(path, "prometheus-alertmanager", "alertmanager"),
        promtool=_which(path, "promtool"),
        amtool=_which(path, "amtool"),
        blackbox_exporter=_which(_PATH, "prometheus-blackbox-exporter", "blackbox_exporter"),
        sshd=_which(_PATH, "sshd"),
    )


def _which(path: str, *names: str) -> Path:
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            return Path(found)
    raise ToolMissing(f"{names[0]} is not in {path}; `make setup` gets it")


def _version(program: Path) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    # 2.42 and newer print to stdout, some older builds to stderr: "prometheus, version 2.42.0 (…"
    return (done.stdout + done.stderr).split("version ", 1)[1].split()[0]
