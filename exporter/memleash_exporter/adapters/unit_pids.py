"""The processes of a systemd unit, from its control group: files only, no bus."""

from __future__ import annotations

import os
from pathlib import Path

from memleash_exporter.errors import CannotTell

CGROUPFS = Path("/sys/fs/cgroup")

_HIERARCHIES = ("", "unified", "systemd")  # version 2; hybrid; version 1


def unit_pids(cgroupfs: Path, unit: str) -> list[int]:
    """Return the pids in the control group of ``unit``, or below it; none when it has no group.

    Raises CannotTell where no systemd keeps its groups.
    """
    for hierarchy in _HIERARCHIES:
        top = cgroupfs / hierarchy
        if not (top / "system.slice").is_dir():
            continue
        group = _unit_group(top, unit)
        return [] if group is None else _pids_below(group)
    raise CannotTell(f"{cgroupfs} has no system.slice: systemd is not in charge here")


def _unit_group(top: Path, unit: str) -> Path | None:
    """Return the directory of ``unit``: units stand below slices only, usually system.slice."""
    usual = top / "system.slice" / unit
    if usual.is_dir():
        return usual
    for directory, children, _ in os.walk(top):
        if unit in children:
            return Path(directory, unit)
        children[:] = [name for name in children if name.endswith(".slice")]
    return None


def _pids_below(group: Path) -> list[int]:
    pids = []
    for directory, _, _ in os.walk(group):
        try:
            pids += [int(pid) for pid in Path(directory, "cgroup.procs").read_bytes().split()]
        except FileNotFoundError:
            continue  # the group has just gone
        except OSError as error:
            raise CannotTell(
                f"{directory}/cgroup.procs cannot be read: {error.strerror}"
            ) from error
    return pids
