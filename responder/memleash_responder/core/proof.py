"""When an agent counts as back after a restart command: the same for a restart and for recovery."""

from __future__ import annotations

from memleash_responder.core.facts import AgentFacts, Unknown, same_life


def missing_proof(facts: AgentFacts | Unknown, old_life: float | None) -> str | None:
    """Return what is missing for the agent to count as back; None when nothing is.

    ``old_life`` is the start time of the process that the command was to end, None where nobody
    knows it. Wanted is a newer
    process that runs, is the only one and answers ready. An exporter that finds several says
    nothing of ``up``.
    """
    if isinstance(facts, Unknown):
        return facts.why
    if facts.up is None:
        return "the exporter cannot tell that the agent runs, and that it is the only one"
    if not facts.up or facts.start_time is None:
        return "the agent is not running"
    if old_life is None:
        return "it is not recorded which process was to be restarted"
    if same_life(facts.start_time, old_life):
        return "the old process is still running"
    if facts.start_time < old_life:
        return "the process is older than the one that was to be restarted"
    if facts.ready is not True:
        return "the new process does not answer ready"
    return None
