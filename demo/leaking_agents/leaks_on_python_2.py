# mypy: ignore-errors
"""Leaks on CPython 2.7, and tells of itself on SIGUSR2: argv is its log."""

import signal
import sys
import time


class Session(object):  # noqa: UP004 - Python 2
    def __init__(self, number):
        self.number = number


def tell(*_):
    with open(sys.argv[1], "a") as log:  # noqa: PTH123 - Python 2
        log.write("%d sessions\n" % len(SESSIONS))  # noqa: UP031 - Python 2


SESSIONS = []
signal.signal(signal.SIGUSR2, tell)
tell()
while True:
    SESSIONS.extend(Session(number) for number in range(20))
    time.sleep(0.01)
