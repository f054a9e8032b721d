"""Which hosts there are and where they are reached: files in Prometheus's file_sd format.

One file serves Prometheus and the responder. Only what stands here is ever used as an address.
Format: https://prometheus.io/docs/prometheus/latest/configuration/configuration/#file_sd_config
"""

from __future__ import annotations

import dataclasses
import glob
import logging
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from memleash_responder.core.facts import Host
from memleash_responder.core.inventory_labels import YES_OR_NO, yes_or_no
from memleash_responder.settings import InventorySettings
from memleash_toolkit import documents
from memleash_toolkit.addresses import parse_host_and_port, parse_ssh_address
from memleash_toolkit.settings import ConfigError, show, understood
from memleash_toolkit.values import parse_text

log = logging.getLogger(__name__)

_HOST = re.compile(r"(?!\.{1,2}$)[^\x00-\x20\x7f-\x9f/\\\ud800-\udfff]{1,253}")
_GROUP_KEYS = ("targets", "labels")

PATIENCE_SECONDS = 0.2
"""How long who asks for all hosts waits for a new version; longer for a large file alone."""

_Signature = tuple[int, int, int]


@dataclasses.dataclass(frozen=True, slots=True)
class _File:
    """One file as it was read."""

    signature: _Signature | None
    """What changes when the file does; None: it cannot be looked at."""
    groups: Sequence[tuple[str, Host]] = ()
    """Each host with the place of its group."""


class Inventory:
    """The hosts as the files have them now; many threads may ask.

    A new version is read by a thread of its own, and of it the files alone that changed. Who asks
    for one host waits for it. Who asks for all of them, such as a page, goes on with the version
    before where it takes longer than a moment.
    """

    def __init__(self, settings: InventorySettings) -> None:
        """Read the files. Raises ConfigError."""
        self._patterns = settings.files
        self._lock = threading.Lock()
        self._reader: threading.Thread | None = None
        self._seen = _signatures(self._patterns)
        self._files: Mapping[Path, _File] = {}
        self._files, self._hosts = _read(self._patterns, self._files)
        self._valid = True

    @property
    def valid(self) -> bool:
        """Whether the files as they were last seen could be used; else an older version stays."""
        return self._valid

    def hosts(self) -> Mapping[str, Host]:
        """Return the hosts by name. Who finds that files changed waits PATIENCE_SECONDS.

        A new version that is not valid is logged once, and the old one stays.
        """
        reader, is_new = self._look()
        if reader is not None and is_new:
            reader.join(PATIENCE_SECONDS)
        return self._hosts

    def get(self, name: str) -> Host | None:
        """Return the host called ``name``, if there is one, by the files as they are now."""
        reader, _ = self._look()
        if reader is not None:
            reader.join()
        return self._hosts.get(name)

    def _look(self) -> tuple[threading.Thread | None, bool]:
        """Return who reads a new version, if there is one, and whether that begins only now."""
        with self._lock:
            if self._reader is not None and self._reader.is_alive():
                return self._reader, False
            seen = _signatures(self._patterns)
            if seen == self._seen:
                return None, False
            reader = threading.Thread(target=self._reload, name="inventory", daemon=True)
            reader.start()
            self._seen, self._reader = seen, reader
            return reader, True

    def _reload(self) -> None:
        try:
            self._files, self._hosts = _read(self._patterns, self._files)
        except ConfigError as error:
            self._valid = False
            log.error("inventory is not valid, the old one stays", extra={"problem": str(error)})  # noqa: TRY400 - the message says it all
            return
        self._valid = True
        log.info("inventory read", extra={"hosts": len(self._hosts)})


def load(files: Iterable[Path]) -> Mapping[str, Host]:
    """Return the hosts in ``files`` by name. Raises ConfigError with file, path and value."""
    return _read(files, {})[1]


def _read(
    patterns: Iterable[Path], before: Mapping[Path, _File]
) -> tuple[Mapping[Path, _File], Mapping[str, Host]]:
    """Return the files and their hosts by name; what is as it was ``before`` is not read again."""
    files = {file: _current(file, before.get(file)) for file in _expanded(patterns)}
    hosts: dict[str, Host] = {}
    places: dict[str, tuple[Path, str]] = {}
    for file, read in files.items():
        for place, host in read.groups:
            if hosts.setdefault(host.name, host) != host:
                first_file, first = places[host.name]
                raise ConfigError(
                    str(file),
                    place,
                    f"host {host.name!r} is given twice and not alike,"
                    f" first at {first_file}: {first}",
                )
            places.setdefault(host.name, (file, place))
    return files, MappingProxyType(hosts)


def _current(file: Path, before: _File | None) -> _File:
    """Return ``file`` as it is now. Raises ConfigError."""
    signature = _signature(file)  # before it is read: what is written meanwhile is read again
    if before is not None and signature is not None and signature == before.signature:
        return before
    groups = [(place, _host(group, file, place)) for place, group in _groups(file)]
    return _File(signature, groups)


def _expanded(files: Iterable[Path]) -> list[Path]:
    """Return the files that exist for ``files``; ``*`` in the last part is a glob, as there."""
    result: list[Path] = []
    for file in files:
        if "*" not in file.name:
            result.append(file)
            continue
        matches = sorted(file.parent.glob(glob.escape(file.name).replace("[*]", "*")))
        if not matches:
            raise ConfigError(str(file), "", "matches no file; the inventory would be empty")
        result.extend(matches)
    return result


def _signatures(patterns: Iterable[Path]) -> Mapping[Path, _Signature | None]:
    """Return what changes when any file of ``patterns`` does, comes or goes."""
    try:
        return {file: _signature(file) for file in _expanded(patterns)}
    except ConfigError:
        return {}  # whoever reads them says what is wrong


def _signature(file: Path) -> _Signature | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _groups(file: Path) -> list[tuple[str, dict[str, object]]]:
    read = documents.read_json if file.suffix == ".json" else documents.read_yaml
    raw = understood(lambda: read(file), file)
    if raw is None:  # what is left when the writing of a file was cut short
        raise ConfigError(str(file), "", "is empty; write [] for no hosts")
    if not isinstance(raw, list):
        raise ConfigError(str(file), "", f"{show(raw)} must be a list of targets and labels")
    groups = []
    for number, group in enumerate(raw):
        place = f"[{number}]"
        if not isinstance(group, dict):
            raise ConfigError(str(file), place, f"{show(group)} must have targets and labels")
        for key in group:
            if key not in _GROUP_KEYS:
                raise ConfigError(
                    str(file),
                    f"{place}.{key}",
                    f"unknown key {show(key)}; allowed here: {', '.join(_GROUP_KEYS)}",
                )
        groups.append((place, group))
    return groups


def _host(group: Mapping[str, object], file: Path, place: str) -> Host:
    labels = _labels(group.get("labels"), file, f"{place}.labels")
    name = labels.get("host", "")
    if not _HOST.fullmatch(name):
        raise ConfigError(
            str(file),
            f"{place}.labels.host",
            f"{show(name)} must name the host: no spaces, slashes or control characters"
            if name
            else "is missing; every group names its host",
        )
    target, address = _target(group.get("targets"), file, f"{place}.targets")
    ssh_address = labels.get("ssh_address")
    if ssh_address is not None:
        try:
            parse_ssh_address(ssh_address)
        except ValueError as error:
            at = f"{place}.labels.ssh_address"
            raise ConfigError(str(file), at, f"{show(ssh_address)} {error}") from error
    return Host(name, target, ssh_address if ssh_address is not None else address, labels)


def _labels(raw: object, file: Path, place: str) -> dict[str, str]:
    if not isinstance(raw, dict):
        raise ConfigError(str(file), place, f"{show(raw)} must be a mapping with at least host")
    labels = {}
    for name, given in raw.items():
        # Prometheus takes `maintenance: true` without quotes for text.
        value = str(given).lower() if isinstance(given, bool) else given
        if not isinstance(name, str) or not isinstance(value, str):
            raise ConfigError(str(file), f"{place}.{name}", f"{show(value)} must be text")
        labels[name] = value
    for name in YES_OR_NO:
        try:
            yes_or_no(labels, name)
        except ValueError as error:
            at = f"{place}.{name}"
            raise ConfigError(str(file), at, f"{show(labels[name])} {error}") from error
    return labels


def _target(raw: object, file: Path, place: str) -> tuple[str, str]:
    """Return the exporter's ``address:port`` and the address alone."""
    if not isinstance(raw, list) or len(raw) != 1:
        raise ConfigError(
            str(file),
            place,
            f"{show(raw)} must be a list of one address:port: one host, one group",
        )
    (target,) = raw
    try:
        address, _ = parse_host_and_port(parse_text(target))
    except ValueError as error:
        raise ConfigError(str(file), f"{place}[0]", f"{show(target)} {error}") from error
    return target, address
