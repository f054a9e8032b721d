"""report.md: what was found, for people; the first lines say what grows."""

import math
import time
import typing

from .evidence import Evidence
from .growth import Grown

_KINDS = {
    "sites": ("Python allocation sites", "file and line"),
    "types": ("Python types", "type"),
    "chunks": ("malloc chunks, by size", "chunk size"),
    "mappings": ("Mappings", "mapping"),
}

MOST_LETTERS = 500
"""Of one value from the agent."""
MOST_NOTES = 100

_WORDS = (("types", "type"), ("chunks", "malloc chunks of size"), ("mappings", "mapping"))


def markdown(evidence: Evidence) -> str:
    """Return the report on ``evidence``."""
    parts = [
        _head(evidence),
        _verdict(evidence),
        _notes(evidence),
        _containers(evidence),
    ]
    parts += [_grown(evidence, kind) for kind in _KINDS]
    parts += [_memory(evidence), _facts(evidence), _files(evidence)]
    return "\n\n".join(part for part in parts if part) + "\n"


def size(value: float) -> str:
    """Return bytes for people: 1.5 MiB."""
    if abs(value) < 1024:
        return f"{value:.0f} B"
    power = min(4, int(math.log(abs(value), 1024)))
    return f"{value / 1024**power:.1f} {'BKMGT'[power]}iB"


def _head(evidence: Evidence) -> str:
    seconds = evidence.finished_at - evidence.taken_at
    return (
        f"# {_code(evidence.agent)} on {_code(evidence.host)}\n\n"
        f"Taken {_when(evidence.taken_at)} in {seconds:.0f} s; outcome: **{evidence.outcome}**;"
        f" profile {evidence.profile};"
        f" {_rounds(evidence)}.\n"
        f"The process started {_when(evidence.started_at)}."
    )


def _rounds(evidence: Evidence) -> str:
    if evidence.rounds == 0:
        return "facts and stacks alone"
    return f"{evidence.rounds} rounds of {evidence.interval_seconds:g} s"


def suspects(evidence: Evidence) -> typing.List[str]:
    """Return what most likely leaks, one line a kind, the most telling first; empty: nothing."""
    found: typing.List[str] = []
    for entry in evidence.grown.get("sites", [])[:1]:
        grown = size(entry.growth_bytes)
        found.append(f"{_code(entry.name)} allocated {grown} that live on")
    for box in evidence.containers[:1]:
        holder, element, mean = evidence.names.get(box.id, ["", "", 0])
        name = _code(holder) or "(held by no module, class or object)"
        content = f", of {_code(element)} (about {size(mean)} each)" if element else ""
        found.append(f"{box.type} {name} grew by {box.growth} elements{content}")
    for kind, words in _WORDS:
        for entry in sorted(evidence.grown.get(kind, []), key=_is_a_part)[:1]:
            more = entry.counts[-1] - entry.counts[0]
            grown = size(entry.growth_bytes)
            found.append(f"{words} {_code(entry.name)} grew by {grown} ({more} more)")
    return found


def _is_a_part(entry: Grown) -> bool:
    """Whether a type is Python's own: then it tells less than the agent's type that it is in."""
    return entry.name.startswith("builtins.")


def _verdict(evidence: Evidence) -> str:
    nothing = "Nothing did." if evidence.rounds else "It was not looked at."
    lines = [f"- {line}" for line in suspects(evidence)] or [nothing]
    return "\n".join(["## What grew in every round", "", *lines, *_sureness(evidence)])


def _sureness(evidence: Evidence) -> typing.List[str]:
    """Return by which way it was counted, and how sure that is."""
    if not evidence.way:
        return []
    looks = len(evidence.memory)
    sure = "exact" if evidence.way != "census" else "read from outside while it changed: close"
    if evidence.unsure_looks:
        sure = f"{evidence.unsure_looks} of {looks} looks could not count all"
    shown = ", ".join(f"{seconds:g}" for seconds in evidence.looks_seconds)
    return ["", f"Counted by {evidence.way} ({sure}), in {shown} s."]


def _notes(evidence: Evidence) -> str:
    if not evidence.notes:
        return ""
    return "## What could not be had\n\n" + "\n".join(
        "- " + _plain(n) for n in evidence.notes[:MOST_NOTES]
    )


def _containers(evidence: Evidence) -> str:
    if not evidence.containers:
        return ""
    rows = []
    for entry in evidence.containers:
        holder, element, mean = evidence.names.get(entry.id, ["", "", 0])
        lengths = " → ".join(map(str, entry.lengths))
        rows.append([_code(holder), entry.type, lengths, _code(element), size(mean)])
    return "## Containers that got longer\n\n" + _table(
        ["held by", "type", "length at each look", "elements", "about each"], rows
    )


def _grown(evidence: Evidence, kind: str) -> str:
    if not evidence.grown.get(kind):
        return ""
    title, column = _KINDS[kind]
    rows = [
        [
            _code(entry.name),
            size(entry.growth_bytes),
            " → ".join(map(str, entry.counts)),
            " → ".join(map(size, entry.sizes_bytes)),
        ]
        for entry in evidence.grown[kind]
    ]
    return "## {}\n\n{}".format(title, _table([column, "grew by", "counts", "sizes"], rows))


def _memory(evidence: Evidence) -> str:
    if not evidence.memory:
        return ""
    names = [name for name in evidence.memory[0] if name != "seconds"]
    rows = [
        ["{:g}".format(look["seconds"]), *(size(look.get(name, 0)) for name in names)]
        for look in evidence.memory
    ]
    return "## Memory at each look\n\n" + _table(["seconds", *names], rows)


def _facts(evidence: Evidence) -> str:
    facts = evidence.facts
    identity = facts.get("identity", {"command_line": []})
    fds = facts.get("open_fds", {})
    lines = [
        "command line: " + _code(" ".join(identity["command_line"])),
        "executable: " + _code(facts.get("program", {"executable": ""})["executable"]),
        "threads: {}".format(facts.get("status", {}).get("Threads", "?")),
        "open files: " + ", ".join(f"{count} {kind}" for kind, count in fds.items()),
    ]
    for kind, figures in facts.get("maps", {}).get("kinds", {}).items():
        lines.append("mapped, {}: {} in {}".format(kind, size(figures["bytes"]), figures["count"]))
    for name, figure in facts.get("cgroup", {}).get("figures", {}).items():
        if "\n" not in figure:
            lines.append(f"cgroup {name}: {figure}")
    if evidence.heap:
        totals = (f"{name.replace('_', ' ')} {value}" for name, value in evidence.heap.items())
        lines.append("malloc: " + ", ".join(totals))
    return "\n".join(["## The process", "", *(f"- {line}" for line in lines)])


def _files(evidence: Evidence) -> str:
    lines = [f"- {_code(name)}" for name in ["report.json", *evidence.files]]
    return "\n".join(["## Files", "", *lines])


def _table(columns: typing.Sequence[str], rows: typing.Iterable[typing.Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _code(value: str) -> str:
    """Return a value from the agent as code: names may hold anything, Markdown too."""
    clean = _plain(value).replace("`", "'").replace("|", "\\|")
    return f"`{clean}`" if clean else ""


def _plain(value: str) -> str:
    cut = value if len(value) <= MOST_LETTERS else value[:MOST_LETTERS] + "…"
    return "".join(letter if letter.isprintable() else " " for letter in cut)


def _when(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(moment))
