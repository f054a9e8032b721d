"""What bench.rules prints: a table of groups for each set of rules, and the costliest rules."""

from typing import Any

from bench.rules_sets import NEW, OLD

COSTLIEST = 12

Json = Any


def table(result: Json) -> str:
    """Returns a Markdown table: a line for each group of each set, and what the fleets were."""
    small, large = result["fleets"]
    lines = [
        f"| {result['versions']} | {small['hosts']:,} hosts | {large['hosts']:,} hosts | growth |",
        "|---|---:|---:|---:|",
    ]
    for of in large["sets"]:
        for name, times in result["growth"][of].items():
            cells = (_seconds(fleet["sets"][of]["group_seconds"][name]) for fleet in (small, large))
            lines.append(f"| {of} {name} | {' | '.join(cells)} | {times} x |")
    if OLD in large["sets"]:
        shares = (f"{share['all']:.0%}" for share in result["share_of_old"])
        lines.append(f"| new of old | {' | '.join(shares)} | |")
    for what, unit, divisor in (
        ("series", "", 1),
        ("alerts", "", 1),
        ("resident_bytes", " MiB", 1024**2),
    ):
        cells = (f"{fleet[what] / divisor:,.0f}{unit}" for fleet in (small, large))
        lines.append(f"| {what.replace('_bytes', ' memory')} | {' | '.join(cells)} | |")
    begin, end = result["load"]
    return "\n".join([*lines, f"| load | {begin:.1f} to {end:.1f} | | |"]) + "\n"


def costliest(fleet: Json) -> str:
    """Returns a Markdown table of the rules that take longest, ours and the old ones."""
    lines = [f"| rule, {fleet['hosts']:,} hosts | median |", "|---|---:|"]
    for of in (NEW, OLD):
        rules = fleet["sets"].get(of, {"rule_seconds": {}})["rule_seconds"]
        longest = sorted(rules.items(), key=lambda rule: -rule[1]["median"])[:COSTLIEST]
        lines += [f"| {of} {name} | {_seconds(seconds)} |" for name, seconds in longest]
    return "\n".join(lines) + "\n"


def _seconds(seconds: Json) -> str:
    return f"{seconds['median'] * 1000:.0f} ms (fastest {seconds['fastest'] * 1000:.0f})"
