"""The closed sets of words the responder speaks in: API, metrics, log and history use these."""

from __future__ import annotations

import dataclasses
import enum

from memleash_responder.core.untrusted import line

REASON_CHARACTERS = 900


class Outcome(enum.StrEnum):
    """The one word that a restart or a diagnosis ends with (or, awaiting_approval, waits at)."""

    RESTARTED = "restarted"
    """The agent lives a new life, is ready, and the host is connected again."""
    UNKNOWN_HOST = "unknown_host"
    """The host is not in the inventory."""
    UNKNOWN_AGENT = "unknown_agent"
    """The agent is not in the configuration."""
    PAUSED = "paused"
    """A pause holds: a person wants nothing restarted for now."""
    OBSERVE_MODE = "observe_mode"
    """The agent's mode only says what would be done."""
    AWAITING_APPROVAL = "awaiting_approval"
    """A person has to approve first."""
    DENIED = "denied"
    """A person said no."""
    RESOLVED = "resolved"
    """The alert went away before anything was done."""
    OUTSIDE_WINDOW = "outside_window"
    """No window is open in which a restart may begin."""
    ALERTS_FIRING = "alerts_firing"
    """An alert fires that the configuration names as a reason to wait."""
    BELOW_HARD_LIMIT = "below_hard_limit"
    """The agent holds no more than its hard limit, or has none."""
    ALREADY_RESTARTED = "already_restarted"
    """The process that was complained of is not the one that runs now."""
    STARTUP_GRACE = "startup_grace"
    """The process started too recently."""
    COOLDOWN = "cooldown"
    """The agent was restarted too recently."""
    RESTART_BUDGET = "restart_budget"
    """The agent, or the fleet, was restarted too often."""
    QUARANTINED = "quarantined"
    """A restart did not help before; a person has to clear the quarantine."""
    STORM = "storm"
    """Too much of the fleet is over the limit at once: the cause is not the agent."""
    MAINTENANCE = "maintenance"
    """A person took the host out of service."""
    HOST_NOT_CONNECTED = "host_not_connected"
    """The host is connecting or disconnected."""
    BUSY = "busy"
    """The agent stayed busy for as long as the request may wait."""
    TASKS_RUNNING = "tasks_running"
    """A controller has running tasks on the host."""
    CONTROLLER_UNREACHABLE = "controller_unreachable"
    """A controller could not be asked, drained or undrained."""
    FACTS_UNAVAILABLE = "facts_unavailable"
    """A fact that the decision rests on could not be read."""
    SSH_UNREACHABLE = "ssh_unreachable"
    """No SSH session could be had; the command was not sent."""
    SSH_AUTH_FAILED = "ssh_auth_failed"
    """sshd refused the responder's key; the command was not sent."""
    HOST_KEY_MISMATCH = "host_key_mismatch"
    """The host's key is unknown or another than known_hosts says; the command was not sent."""
    COMMAND_FAILED = "command_failed"
    """The restart command failed, or nothing shows that it worked."""
    NOT_READY = "not_ready"
    """The command ran; no new life answered ready."""
    RECONNECT_FAILED = "reconnect_failed"
    """The new life is ready; a controller did not take the host back."""
    DIAGNOSED = "diagnosed"
    """The report is here, whole."""
    INCOMPLETE = "incomplete"
    """The report is here and says what is missing: a deadline, the agent's end, a failure."""
    NOT_CONFIGURED = "not_configured"
    """The agent has no ``diagnose`` in the configuration."""
    ALREADY_DIAGNOSED = "already_diagnosed"
    """This life of the process was diagnosed before."""
    TOO_LARGE = "too_large"
    """RSS is over ``max_rss``: looking would stall the agent, or take the memory's last rest."""
    HOST_BUSY = "host_busy"
    """Another diagnosis or a restart is under way on the host."""
    ANOTHER_LIFE = "another_life"
    """The process was replaced before the diagnoser found it."""
    AGENT_NOT_FOUND = "agent_not_found"
    """The diagnoser did not find the agent's process on the host."""
    DISK_FULL = "disk_full"
    """The host has less free disk than it must keep."""
    DIAGNOSER_FAILED = "diagnoser_failed"
    """The diagnoser could not be started, or died without a report."""


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """Why not, in one word and one line that stays short, whatever was told from outside."""

    outcome: Outcome
    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", line(self.reason, REASON_CHARACTERS))


_ONLY_OF_DIAGNOSES = (
    Outcome.DIAGNOSED,
    Outcome.INCOMPLETE,
    Outcome.NOT_CONFIGURED,
    Outcome.ALREADY_DIAGNOSED,
    Outcome.TOO_LARGE,
    Outcome.HOST_BUSY,
    Outcome.ANOTHER_LIFE,
    Outcome.AGENT_NOT_FOUND,
    Outcome.DISK_FULL,
    Outcome.DIAGNOSER_FAILED,
)

DIAGNOSIS_OUTCOMES = (
    *_ONLY_OF_DIAGNOSES,
    Outcome.UNKNOWN_HOST,
    Outcome.UNKNOWN_AGENT,
    Outcome.PAUSED,
    Outcome.MAINTENANCE,
    Outcome.OBSERVE_MODE,
    Outcome.FACTS_UNAVAILABLE,
    Outcome.SSH_UNREACHABLE,
    Outcome.SSH_AUTH_FAILED,
    Outcome.HOST_KEY_MISMATCH,
)
"""Every word that a diagnosis ends with."""

RESTART_OUTCOMES = tuple(word for word in Outcome if word not in _ONLY_OF_DIAGNOSES)
"""Every word that a restart ends with."""


NEEDS_A_PERSON = frozenset(
    {
        Outcome.QUARANTINED,
        Outcome.STORM,
        Outcome.RESTART_BUDGET,
        Outcome.HOST_NOT_CONNECTED,
        Outcome.SSH_AUTH_FAILED,
        Outcome.HOST_KEY_MISMATCH,
        Outcome.AWAITING_APPROVAL,
        Outcome.CONTROLLER_UNREACHABLE,
        Outcome.FACTS_UNAVAILABLE,
        Outcome.SSH_UNREACHABLE,
    }
)
"""Refusals that do not go away by waiting: AgentRestartBlocked pages for them."""

WAITED_FOR = frozenset({Outcome.BUSY, Outcome.OUTSIDE_WINDOW, Outcome.ALERTS_FIRING})
"""Refusals that go away by themselves: before the command is sent, a request waits for that."""

FAILED = frozenset({Outcome.COMMAND_FAILED, Outcome.NOT_READY, Outcome.RECONNECT_FAILED})
"""Words for a restart that was begun and did not end well: AgentRestartFailed pages for them."""

BEGUN = FAILED | {Outcome.RESTARTED}
"""Words that only a restart that was begun ends with."""
