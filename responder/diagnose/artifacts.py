"""The reports that were fetched: ``<root>/<host>/<agent>/<time>/``, so many and so large at most.

What a host sends is not trusted: only plain files with plain names come out of its tar, so many
and so large at most, and only a whole report ever gets its place.
"""

from __future__ import annotations

import dataclasses
import io
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import quote, unquote

from toolkit.values import Count, Size

MAX_MEMBERS = 100
_TIME = "%Y%m%dT%H%M%SZ"
_DRAFT = ".draft-"
_CHUNK_BYTES = 1024 * 1024


class BadReport(Exception):
    """What a host sent is no report: too large, or with names that lead elsewhere."""


@dataclasses.dataclass(frozen=True, slots=True)
class Artifact:
    """One report in its folder."""

    host: str
    agent: str
    time: str
    """When it was taken, as the folder is called: ``20261122T160551Z``."""
    folder: Path

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
class ArtifactSettings:
    """Where reports are kept, and how many."""

    folder: Path = Path("/var/lib/memleash/artifacts")
    keep_per_agent: Count = 10
    """On each host."""
    keep_bytes: Size = Size(1024**3)
    """All together; the oldest go first."""

    def store(self) -> Artifacts:
        """Return the store that these describe."""
        return Artifacts(self.folder, self.keep_per_agent, self.keep_bytes)


@dataclasses.dataclass(frozen=True, slots=True)
class Artifacts:
    """The folder of all reports."""

    root: Path
    keep_per_agent: int
    keep_bytes: int

    def put(self, host: str, agent: str, taken_at: float, tar: bytes, max_bytes: int) -> Artifact:
        """Unpack a report of at most ``max_bytes`` into its place, then forget the oldest.

        Putting the same report again changes nothing. Raises BadReport, OSError.
        """
        name = datetime.fromtimestamp(taken_at, UTC).strftime(_TIME)
        place = self.root / _folder_name(host) / _folder_name(agent) / name
        artifact = Artifact(host, agent, name, place)
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=place.parent))
            try:
                _unpack(io.BytesIO(tar), draft, max_bytes)
                draft.replace(place)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        self._forget(keep=artifact)
        return artifact

    def all(self, host: str | None = None, agent: str | None = None) -> list[Artifact]:
        """Return the reports there are, the newest first."""
        found = [
            one for one in self._walk() if host in (None, one.host) and agent in (None, one.agent)
        ]
        return sorted(found, key=lambda one: (one.time, one.host, one.agent), reverse=True)

    def get(self, host: str, agent: str, time: str) -> Artifact | None:
        """Return one report. What is asked for is looked up, never used as a path."""
        return next((one for one in self.all(host, agent) if one.time == time), None)

    def _walk(self) -> Iterator[Artifact]:
        for folder in self.root.glob("*/*/*"):
            if folder.is_dir() and not folder.name.startswith("."):
                host, agent = folder.parent.parent.name, folder.parent.name
                yield Artifact(unquote(host), unquote(agent), folder.name, folder)

    def _forget(self, keep: Artifact) -> None:
        """Remove what is over an agent's number, then the oldest while all is too large."""
        for old in self.all(keep.host, keep.agent)[self.keep_per_agent :]:
            if old != keep:
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
    """Return ``name`` as a folder's name, whatever it holds; unquote gives it back."""
    quoted = quote(name, safe="")
    return quoted.replace(".", "%2E") if quoted.startswith(".") else quoted


def _unpack(file: IO[bytes], folder: Path, max_bytes: int) -> None:
    left = max_bytes
    try:
        with tarfile.open(fileobj=file, mode="r|gz") as tar:
            for number, member in enumerate(tar, start=1):
                path = PurePosixPath(member.name)
                if number > MAX_MEMBERS:
                    raise BadReport(f"it has more than {MAX_MEMBERS} files")
                if not member.isreg() or path.is_absolute() or ".." in path.parts:
                    raise BadReport(f"{member.name!r} is not a plain file inside the report")
                left -= member.size
                if left < 0:
                    raise BadReport(f"it unpacks to more than {max_bytes} bytes")
                target = folder.joinpath(*path.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                content = tar.extractfile(member)
                if content is not None:
                    with target.open("xb") as out:
                        shutil.copyfileobj(content, out, _CHUNK_BYTES)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise BadReport(f"it cannot be unpacked: {error}") from error
    if not (folder / "report.json").is_file():
        raise BadReport("it has no report.json")
