"""When an agent counts as back after a restart command: the same for a restart and for recovery."""

from __future__ import annotations

from memleash_responder.core.facts import AgentFacts, Unknown, same_life
from memleash_responder.core.moments import rfc3339


def missing_proof(facts: AgentFacts | Unknown, old_life: float | None) -> str | None:
    """Return what is missing for the agent to count as back; None when nothing is.

    ``old_life`` is the start time of the process that the command was to end, None where nobody
    knows it. Wanted is a newer process that runs, is the only one
    and answers ready. An exporter that finds several says nothing of ``up``.
    """
    if isinstance(facts, Unknown):
        return facts.why
    if isinstance(facts.up, Unknown):
        return "the exporter cannot tell that the agent runs, and that it is the only one"
    if not facts.up or isinstance(facts.start_time, Unknown):
        return "the agent is not running"
    if old_life is None:
        return "it is not recorded which process was to be restarted"
    if same_life(facts.start_time, old_life):
        return f"the old process is still running: it started at {rfc3339(facts.start_time)}"
    if facts.start_time < old_life:
        return "the process is older than the one that was to be restarted"
    if facts.ready is not True:
        return "the new process does not answer ready"
    return None


def missing_after_restart(facts: AgentFacts | Unknown, old_life: float | None) -> str | None:
    """Return what is missing for a restart to count; None when nothing is.

    Beside the proof its memory must be known, or nobody could say whether the restart helped.
    """
    missing = missing_proof(facts, old_life)
    if missing is not None or isinstance(facts, Unknown):
        return missing
    if isinstance(facts.limited_bytes, Unknown):
        return f"whether it helped cannot be told: {facts.limited_bytes.why}"
    return None


def missing_at_the_end(facts: AgentFacts | Unknown, old_life: float, new_life: float) -> str | None:
    """Return what is missing once the controllers took the host back; None when nothing is.

    The life that the restart made will do, or a newer one: a controller may restart the agent
    once more when it reconnects the host.
    """
    missing = missing_after_restart(facts, old_life)
    if missing is not None or isinstance(facts, Unknown) or isinstance(facts.start_time, Unknown):
        return missing
    if facts.start_time < new_life and not same_life(facts.start_time, new_life):
        return "the process is older than the one that the restart made"
    return None
