"""What can go wrong outside, as errors that carry the word the history will show.

ResponderError
+-- FactsUnavailable        facts_unavailable: an exporter or Prometheus; try again later
+-- ControllerError         controller_unreachable: a controller; try again later
+-- ReconnectFailed         reconnect_failed: a controller said no or nothing
+-- AlertmanagerError       muting is late; never a reason not to restart; try again later
+-- NoticeNotSent           people were not told; tried again later, never a reason to wait
+-- BacklogFull             too many notifications wait; Alertmanager tries again
+-- DatabaseUnavailable     nothing can be stored; Alertmanager tries again
+-- Overtaken               another works on the same request; look again at what it did
+-- NotPossible             what a person asked for; the title and the detail are for that person
|   +-- NotFound            it names what is not there
|   +-- Conflict            not as things stand now
|   +-- PeerRefused         a peer was asked and said no
+-- DiagnoserError          diagnoser_failed: in adapters/diagnoser.py; a person must look
+-- SshError
    +-- SshUnreachable      ssh_unreachable: not sent; try again later
    +-- SshAuthFailed       ssh_auth_failed: not sent; a person must mend the key
    +-- HostKeyMismatch     host_key_mismatch: not sent; a person must look
    +-- CommandLost         sent, its end not seen; command_failed unless a new life shows
"""

from __future__ import annotations

from memleash_responder.core.outcomes import Outcome


class ResponderError(Exception):
    """The base: a message says what failed, on what, and what to do."""


class FactsUnavailable(ResponderError):
    """A fact could not be read from an exporter or from Prometheus."""

    outcome = Outcome.FACTS_UNAVAILABLE


class ControllerError(ResponderError):
    """A controller could not be asked, drained or undrained."""

    outcome = Outcome.CONTROLLER_UNREACHABLE


class ReconnectFailed(ResponderError):
    """A controller did not take the host back."""

    outcome = Outcome.RECONNECT_FAILED


class AlertmanagerError(ResponderError):
    """No Alertmanager took the request."""


class NoticeNotSent(ResponderError):
    """People could not be told of what was done."""


class BacklogFull(ResponderError):
    """Too many notifications wait to be handled."""


class DatabaseUnavailable(ResponderError):
    """The database cannot be written."""


class Overtaken(ResponderError):
    """Another has noted that it sends this request's command, or the request has its word."""


class NotPossible(ResponderError):
    """What a person asked for cannot be done: ``title`` in a few words, the detail as the text."""

    def __init__(self, title: str, detail: str) -> None:
        self.title = title
        super().__init__(detail)


class NotFound(NotPossible):
    """It names a host, an agent, a request or a report that is not there."""


class Conflict(NotPossible):
    """It cannot be done as things stand now."""


class PeerRefused(NotPossible):
    """A peer was asked, and refused or did not answer."""


class SshError(ResponderError):
    """The base of what can go wrong with SSH."""

    outcome = Outcome.SSH_UNREACHABLE


class SshUnreachable(SshError):
    """No session within the deadlines; the command was not sent."""


class SshAuthFailed(SshError):
    """sshd refused every key; the command was not sent."""

    outcome = Outcome.SSH_AUTH_FAILED


class HostKeyMismatch(SshError):
    """The host's key is not the one in known_hosts; the command was not sent."""

    outcome = Outcome.HOST_KEY_MISMATCH


class CommandLost(SshError):
    """The command was sent and its end was not seen: it may or may not have taken effect."""

    outcome = Outcome.COMMAND_FAILED
