"""Messages to people over whatever they use, by Apprise: chat, mail, pagers, webhooks."""

from __future__ import annotations

from pathlib import Path

from memleash_responder.errors import NoticeNotSent


def send(url_file: Path, title: str, body: str, timeout: float) -> None:
    """Send one message to the Apprise URL in the first line of ``url_file``.

    ``timeout`` (seconds) is for each of connecting and reading. Raises NoticeNotSent, with a reason
    that never shows the URL: it holds credentials.
    """
    try:
        import apprise  # noqa: PLC0415 - an option, and large: with the first message only
    except ImportError as error:
        raise NoticeNotSent("apprise is missing: pip install 'memleash[notify]'") from error
    try:
        lines = url_file.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise NoticeNotSent(f"{url_file} cannot be read: {error}") from error
    target = apprise.Apprise.instantiate(lines[0].strip(), suppress_exceptions=True)
    if target is None:
        raise NoticeNotSent(f"the first line of {url_file} is no Apprise URL")
    target.socket_connect_timeout = target.socket_read_timeout = timeout
    if not target.notify(title=title, body=body):
        raise NoticeNotSent(f"{target.service_name} did not take it")
