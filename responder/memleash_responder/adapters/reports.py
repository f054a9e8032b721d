"""The reports that were fetched: ``<root>/<host>/<agent>/<time>/``, so many and so large at most.

What a host sends is not trusted: only plain files with plain names come out of its tar, so many
and so large at most, and only a whole report ever gets its place.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote

from memleash_responder.core.untrusted import line

MAX_MEMBERS = 100
MAX_LEVELS = 8
"""Of folders in a report; the diagnoser's have two."""
MAX_PATH_CHARACTERS = 200
_HEADER_BYTES = 4096
"""What a member may take in its tar beside its content: headers, a long name, padding."""
_MOST_NAME_BYTES = 255
"""Of a file, on every Linux file system."""
_TIME = "%Y%m%dT%H%M%SZ"
_DRAFT = ".draft-"
_CHUNK_BYTES = 1024 * 1024


class BadReport(Exception):
    """What a host sent is no report: too large, or with names that lead elsewhere."""


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """One report in its folder."""

    host: str
    agent: str
    time: str
    """When it was taken, as the folder is called: ``20261122T160551Z``."""
    folder: Path

    @property
    def taken_at(self) -> float:
        """Return when it was taken, as unix time."""
        return datetime.strptime(self.time, _TIME).replace(tzinfo=UTC).timestamp()

    @property
    def size_bytes(self) -> int:
        """Return the size of its files together."""
        return sum(file.stat().st_size for file in self.files())

    def files(self) -> list[Path]:
        """Return its files, in the order of their names."""
        return sorted(file for file in self.folder.rglob("*") if file.is_file())

    def packed(self) -> bytes:
        """Return it as one tar.gz, for a download."""
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w:gz") as tar:
            for file in self.files():
                tar.add(file, str(file.relative_to(self.folder)), recursive=False)
        return content.getvalue()


@dataclasses.dataclass(frozen=True, slots=True)
class Reports:
    """The folder of all reports."""

    root: Path
    keep_per_agent: int
    keep_bytes: int

    def put(self, host: str, agent: str, taken_at: float, tar: bytes, max_bytes: int) -> Report:
        """Unpack a report of at most ``max_bytes`` into its place, then forget the oldest.

        Putting the same report again changes nothing. Raises BadReport, OSError.
        """
        name = datetime.fromtimestamp(taken_at, UTC).strftime(_TIME)
        place = self.root / _folder_name(host) / _folder_name(agent) / name
        report = Report(host, agent, name, place)
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=place.parent))
            try:
                _unpack(tar, draft, max_bytes)
                draft.replace(place)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        self._forget(keep=report)
        return report

    def all(self, host: str | None = None, agent: str | None = None) -> list[Report]:
        """Return the reports there are, the newest first."""
        return sorted(
            self._found(host, agent), key=lambda one: (one.time, one.host, one.agent), reverse=True
        )

    def get(self, host: str, agent: str, time: str) -> Report | None:
        """Return one report. What is asked for is looked up, never used as a path."""
        return next((one for one in self.all(host, agent) if one.time == time), None)

    def _found(self, host: str | None, agent: str | None) -> Iterator[Report]:
        wanted = [None if name is None else _folder_name(name) for name in (host, agent)]
        for folder in self.root.glob("*/*/*"):
            names = folder.parent.parent.name, folder.parent.name
            if any(one not in (None, name) for one, name in zip(wanted, names, strict=True)):
                continue
            if folder.is_dir() and not folder.name.startswith("."):
                given = (host or unquote(names[0]), agent or unquote(names[1]))
                yield Report(*given, folder.name, folder)

    def _forget(self, keep: Report) -> None:
        """Remove what is over an agent's number, then the oldest while all is too large."""
        for old in self.all(keep.host, keep.agent)[self.keep_per_agent :]:
            if old.folder != keep.folder:
                shutil.rmtree(old.folder, ignore_errors=True)
        sizes = {one.folder: one.size_bytes for one in self.all()}
        total = sum(sizes.values())
        for one in reversed(self.all()):
            if total <= self.keep_bytes:
                return
            if one.folder != keep.folder:
                shutil.rmtree(one.folder, ignore_errors=True)
                total -= sizes[one.folder]


def _folder_name(name: str) -> str:
    """Return ``name`` as a folder's name, whatever it holds.

    unquote gives it back, but for one that is too long: that is cut, with a digest of the whole.
    """
    quoted = quote(name, safe="")
    quoted = quoted.replace(".", "%2E") if quoted.startswith(".") else quoted
    if len(quoted) <= _MOST_NAME_BYTES:
        return quoted
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"{quoted[: _MOST_NAME_BYTES - len(digest) - 1]}~{digest}"


def _unpack(tar: bytes, folder: Path, max_bytes: int) -> None:
    try:
        with tarfile.open(fileobj=io.BytesIO(_plain(tar, max_bytes)), mode="r:") as members:
            left = max_bytes
            for number, member in enumerate(members, start=1):
                if number > MAX_MEMBERS:
                    raise BadReport(f"it has more than {MAX_MEMBERS} files")
                left -= member.size
                if left < 0 or member.size < 0:
                    raise BadReport(f"it unpacks to more than {max_bytes} bytes")
                target = folder.joinpath(*_path(member).parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                content = members.extractfile(member)
                if content is not None:
                    with target.open("xb") as out:
                        shutil.copyfileobj(content, out, _CHUNK_BYTES)
    except (tarfile.TarError, OSError, ValueError, OverflowError, RecursionError) as error:
        raise BadReport(f"it cannot be unpacked: {line(str(error))}") from error
    if not (folder / "report.json").is_file():
        raise BadReport("it has no report.json")


def _plain(tar: bytes, max_bytes: int) -> bytes:
    """Return the tar inside a tar.gz. Bounded first: tarfile reads headers of any size whole."""
    bound = max_bytes + MAX_MEMBERS * _HEADER_BYTES
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(tar)) as packed:
            plain = packed.read(bound + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadReport(f"it cannot be unpacked: {error}") from error
    if len(plain) > bound:
        raise BadReport(f"it unpacks to more than {max_bytes} bytes")
    return plain


def _path(member: tarfile.TarInfo) -> PurePosixPath:
    """Return where a member goes inside the report. Raises BadReport."""
    path, shown = PurePosixPath(member.name), repr(line(member.name))
    if not member.isreg() or path.is_absolute() or ".." in path.parts:
        raise BadReport(f"{shown} is not a plain file inside the report")
    if len(path.parts) > MAX_LEVELS or len(member.name) > MAX_PATH_CHARACTERS:
        raise BadReport(
            f"{shown} is deeper than {MAX_LEVELS} levels, or longer than"
            f" {MAX_PATH_CHARACTERS} characters"
        )
    return path
