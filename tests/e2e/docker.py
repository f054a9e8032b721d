"""The Docker engine that tools/engine runs, by its command line."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TIMEOUT_SECONDS = 900


class DockerFailed(Exception):
    """A docker command ended badly: the command, and what it said."""


def docker(
    *arguments: str | Path,
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float = _TIMEOUT_SECONDS,
) -> str:
    """Return what ``docker <arguments>`` prints. Raises DockerFailed."""
    done = subprocess.run(
        ["docker", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_seconds,
        env=environment,
    )
    if done.returncode != 0:
        said = (done.stdout[-2000:] + done.stderr[-6000:]).strip()
        raise DockerFailed(f"docker {' '.join(map(str, arguments))}: {done.returncode}\n{said}")
    return done.stdout


def build(context: Path, dockerfile: Path, target: str, tag: str) -> None:
    """Build one target of a Dockerfile; layers that are there already are used again."""
    docker("build", "-q", "-f", dockerfile, "--target", target, "-t", tag, context)


@dataclass(frozen=True, slots=True)
class Container:
    """A container by its name."""

    name: str

    def run(self, *command: str, user: str = "root", stdin: str = "") -> str:
        """Return what ``command`` prints in the container. Raises DockerFailed."""
        argv = ["docker", "exec", "-i", "--user", user, self.name, *command]
        done = subprocess.run(
            argv, input=stdin, capture_output=True, text=True, check=False, timeout=120
        )
        if done.returncode != 0:
            raise DockerFailed(f"{self.name}: {' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def write(self, path: str, text: str, *, mode: str = "644", owner: str = "root") -> None:
        """Put ``text`` into a file of the container."""
        script = 'install -D -m "$2" -o "$3" -g "$3" /dev/stdin "$1"'
        self.run("sh", "-c", script, "-", path, mode, owner, stdin=text)

    def address(self, network: str) -> str:
        """Return the container's address on ``network``."""
        form = f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}'
        return docker("inspect", "-f", form, self.name).strip()

    def remove(self) -> None:
        docker("rm", "-f", "-v", self.name)


def start(name: str, image: str, arguments: Sequence[str]) -> Container:
    """Start a container that lives on; ``arguments`` are those of ``docker run``."""
    docker("run", "-d", "--name", name, "--hostname", name, *arguments, image)
    return Container(name)
