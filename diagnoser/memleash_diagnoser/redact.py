"""Takes secrets out of what people will read: environments, command lines, tools' output.

It errs on the side of hiding. What remains readable is names, and values whose names say nothing.
"""

import re
import typing

HIDDEN = "<redacted>"

_TELLING_NAMES = (
    r"pass(?:wd|word|phrase|code)?|pw|pwd|secret|token|bearer|auth(?:orization)?|credentials?"
    r"|cookie|session|api[-_]?key|access[-_]?key|private[-_]?key|signing[-_]?key|key|salt|dsn|jwt"
)
_IS_SECRET = re.compile(
    rf"(?:^|[^a-z])(?:{_TELLING_NAMES})s?(?:$|[^a-z])|(?:password|passwd|secret|token)s?$",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(?P<head>[a-z][a-z0-9+.-]*://[^\s/:@]*):[^\s/@]+@", re.IGNORECASE)
_ASSIGNMENT = re.compile(
    r"(?P<name>[\w.-]+)(?P<mark>\s*[=:]\s*)(?P<value>\"[^\"]*\"|'[^']*'|[^\s,;&'\"]+)"
)
_TELLING = re.compile(
    r"\b(?:Bearer|Basic)\s+[\w.~+/=-]{8,}"  # an Authorization header
    r"|\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*"  # a JSON web token
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"  # an AWS key id
    r"|\bgh[pousr]_\w{20,}|\bglpat-[\w-]{15,}|\bxox[abprs]-[\w-]{10,}"  # GitHub, GitLab, Slack
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)


def is_secret(name: str) -> bool:
    """Whether a variable or option of this name holds what must not be shown."""
    spread = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return _IS_SECRET.search(spread) is not None


def text(value: str) -> str:
    """Return free text without the secrets that can be told by their looks."""
    value = _TELLING.sub(HIDDEN, value)
    value = _URL_PASSWORD.sub(lambda found: found.group("head") + ":" + HIDDEN + "@", value)
    return _ASSIGNMENT.sub(_hide_assigned, value)


def environment(block: str) -> typing.Dict[str, str]:
    """Return a NUL-separated environment, its secrets hidden."""
    pairs = (entry.partition("=") for entry in block.split("\0") if "=" in entry)
    return {name: HIDDEN if is_secret(name) else text(value) for name, _, value in pairs}


def command_line(block: str) -> typing.List[str]:
    """Return NUL-separated arguments, hiding ``--password=x`` and ``--password x``."""
    shown: typing.List[str] = []
    hide_next = False
    for word in block.rstrip("\0").split("\0"):
        if hide_next and not word.startswith("-"):
            shown.append(HIDDEN)
            hide_next = False
            continue
        name, mark, _ = word.partition("=")
        secret = word.startswith("-") and is_secret(name)
        shown.append(name + mark + HIDDEN if secret and mark else text(word))
        hide_next = secret and not mark
    return shown


def _hide_assigned(found: "typing.Match[str]") -> str:
    if not is_secret(found.group("name")):
        return found.group(0)
    return found.group("name") + found.group("mark") + HIDDEN
