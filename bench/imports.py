"""What each library costs in memory, and what it costs to begin.

    python -m bench.imports [memory|starts]

Memory is on top of all else that the program imports. For a library that is used: the others are
imported first, and what the program takes of the standard library, then it. For one that another
brings: all of these first. For one that was not taken: the whole program first. Each in a fresh
interpreter, the median of five. One that is not installed here is left out.

A start is the processor time of a program that is asked for its help, or of one command that finds
no responder, and beside it that of an interpreter that imports requests and does nothing. They
take turns, so that what else the machine does falls on all alike. Prints a table of each.
"""

from __future__ import annotations

import importlib.util
import resource
import statistics
import subprocess
import sys
from pathlib import Path

ROUNDS = 5
STARTS = 15
REQUESTS = (sys.executable, "-c", "import requests")
_UNUSED = "http://127.0.0.1:9"
_SCRIPTS = Path(sys.executable).parent
COMMANDS = (
    (sys.executable, "-c", "pass"),
    REQUESTS,
    ("memleashctl", "--help"),
    ("memleashctl", "--url", _UNUSED, "status"),
    ("memleash-responder", "--help"),
    ("memleash-exporter", "--help"),
    ("memleash-busy", "--help"),
)
PROGRAMS = {
    "exporter": ("memleash_exporter.cli", ("yaml", "h11", "psutil", "prometheus_client", "bcrypt")),
    "responder": (
        "memleash_responder.cli",
        ("flask", "requests", "fabric", "sqlalchemy", "dbos", "prometheus_client", "psycopg"),
    ),
}
BROUGHT = {"responder": ("click", "itsdangerous", "paramiko", "urllib3", "tzdata")}
"""Used, too, but no weight of their own: another library imports them, or they are files alone."""
STANDARD = ("asyncio", "ssl", "http.client", "subprocess", "json", "logging")
NOT_TAKEN = ("pydantic", "msgspec", "cheroot.wsgi", "uvicorn", "a2wsgi", "waitress", "tornado.web")
_MEASURE = """
import importlib, sys
def resident():
    with open("/proc/self/status") as status:
        return int(status.read().split("VmRSS:")[1].split()[0]) / 1024
first, then = sys.argv[1].split(), sys.argv[2]
for name in first:
    importlib.import_module(name)
before = resident()
importlib.import_module(then)
print(resident() - before)
"""


def main() -> None:
    """Measure and print."""
    wanted = sys.argv[1:] or ["memory", "starts"]
    if "starts" in wanted:
        print_starts()
    if "memory" in wanted:
        print_memory()


def print_starts() -> None:
    """Print the median processor time of each command, and its ratio to that of requests."""
    seconds: dict[tuple[str, ...], list[float]] = {command: [] for command in COMMANDS}
    for _ in range(STARTS):
        for command, taken in seconds.items():
            taken.append(processor_seconds(command))
    medians = {command: statistics.median(taken) for command, taken in seconds.items()}
    print("| command | CPU ms | to an import of requests |")
    print("|---|---:|---:|")
    for command, median in medians.items():
        shown = " ".join(command).replace(sys.executable, "python")
        print(f"| `{shown}` | {1000 * median:.0f} | {median / medians[REQUESTS]:.2f} |")
    print()


def processor_seconds(command: tuple[str, ...]) -> float:
    """Return what ``command`` takes of the processor, in seconds of user and system."""
    program, *rest = command
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([_SCRIPTS / program, *rest], capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def print_memory() -> None:
    """Print what each library adds."""
    print("| program | library | MiB |")
    print("|---|---|---:|")
    for program, (module, used) in PROGRAMS.items():
        for library in used:
            others = [*STANDARD, *(one for one in used if one != library)]
            print(f"| {program} | {library} | {mib(others, library):.1f} |", flush=True)
        for library in BROUGHT.get(program, ()):
            cost = mib([*STANDARD, *used], library)
            print(f"| {program} | {library} | {cost:.1f} |", flush=True)
        for library in filter(is_here, NOT_TAKEN):
            cost = mib([module], library)
            print(f"| {program} | not taken: {library} | {cost:.1f} |", flush=True)


def is_here(library: str) -> bool:
    """Return whether ``library`` is installed."""
    return importlib.util.find_spec(library.partition(".")[0]) is not None


def mib(first: list[str], then: str) -> float:
    """Return by how much importing ``then`` after ``first`` makes an interpreter larger."""
    argv = [sys.executable, "-c", _MEASURE, " ".join(first), then]
    return statistics.median(
        float(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
        for _ in range(ROUNDS)
    )


if __name__ == "__main__":
    main()
