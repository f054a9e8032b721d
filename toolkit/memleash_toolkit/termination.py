"""Which signals end a program of ours."""

from __future__ import annotations

import signal


def ending_signals() -> tuple[signal.Signals, ...]:
    """Return SIGTERM, and SIGINT unless whoever started this process had it ignored.

    A shell ignores SIGINT in its background jobs, so that Ctrl-C ends the foreground alone.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        return (signal.SIGTERM,)
    return (signal.SIGTERM, signal.SIGINT)
