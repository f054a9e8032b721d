"""What each library costs in memory, on top of all else that the program imports.

    python -m bench.imports

For a library that is used: the others are imported first, and what the program takes of the
standard library, then it. For one that another brings: all of these first. For one that was not
taken: the whole program first. Each in a fresh interpreter, the median of five. One that is not
installed here is left out. Prints a table.
"""

from __future__ import annotations

import importlib.util
import statistics
import subprocess
import sys

ROUNDS = 5
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
