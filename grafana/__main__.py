"""``python -m grafana``: writes the dashboards' JSON; ``--check`` only says which are stale."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana import agent, fleet, responder

FOLDER = Path(__file__).parent / "dashboards"


def rendered() -> dict[str, str]:
    """Return each dashboard's file name and JSON."""
    pages = [build() for build in (fleet.build, agent.build, responder.build)]
    return {
        f"{page.uid}.json": json.dumps(page.build(), cls=JSONEncoder, indent=2) + "\n"
        for page in pages
    }


def stale(folder: Path) -> list[str]:
    """Return the names of the files in ``folder`` that are missing or not what the code says."""
    wanted = rendered()
    extra = {file.name for file in folder.glob("*.json")} - wanted.keys()
    return sorted(extra) + [
        name
        for name, text in wanted.items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m grafana", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; 1 when a file is stale"
    )
    if parser.parse_args().check:
        names = stale(FOLDER)
        for name in names:
            sys.stderr.write(f"grafana/dashboards/{name} is stale: run python -m grafana\n")
        return bool(names)
    for name, text in rendered().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
