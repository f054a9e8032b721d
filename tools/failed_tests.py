"""Lists the failed tests of pytest's reports: tools/failed_tests.py REPORT.xml...

For each: the command that runs it alone, and the first line of what it says. A report is named
after its environment: `.cache/reports/.venv-3.12.xml` holds what `.venv-3.12/bin/python` ran.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

LONGEST = 200


def failures(report: Path) -> Iterator[tuple[str, str]]:
    """Yield the id of each failed test of a report, and the first line of what it says."""
    for case in ElementTree.parse(report).iter("testcase"):
        for kind in ("failure", "error"):
            problem = case.find(kind)
            if problem is not None:
                yield _node(case), _first_line(problem)


def _node(case: ElementTree.Element) -> str:
    """Return what pytest calls a test, or the file that it could not collect."""
    file, classes = case.get("file", ""), case.get("classname", "")
    if not classes:
        return file
    module = file.removesuffix(".py").replace("/", ".")
    within = classes.removeprefix(module).strip(".").split(".")
    return "::".join(filter(None, [file, *within, case.get("name", "")]))


def _first_line(problem: ElementTree.Element) -> str:
    lines = problem.get("message", "").strip().splitlines()
    if lines and lines[0] != "collection failure":  # there the error stands in the text alone
        return lines[0][:LONGEST]
    errors = [line[1:].strip() for line in (problem.text or "").splitlines() if line[:2] == "E "]
    return (errors or lines or ["it says nothing"])[0][:LONGEST]


def main(reports: list[str]) -> None:
    """Print the list; a run that broke off before it began has left no report."""
    for report in filter(Path.exists, map(Path, reports)):
        for node, said in failures(report):
            print(f"FAILED: {report.stem}/bin/python -m pytest '{node}'\n        {said}")


if __name__ == "__main__":
    main(sys.argv[1:])
