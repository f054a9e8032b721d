"""Free ports, so that any number of stacks run on one machine at the same time."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

# Below the kernel's ephemeral range: no outgoing connection can take a port before its server.
_FIRST, _LAST = 12_000, 32_000
_BLOCK = 20


@contextmanager
def reserve_ports() -> Iterator[list[int]]:
    """Hold a block of loopback ports; yields those that are free for servers.

    The block's first port stays bound for as long as it is held: that is what keeps another
    stack, whose servers may not have started yet, away from the rest.
    """
    for first in random.sample(range(_FIRST, _LAST, _BLOCK), (_LAST - _FIRST) // _BLOCK):
        with ExitStack() as held:
            try:
                held.enter_context(_bound(first))
                with ExitStack() as probes:
                    for port in range(first + 1, first + _BLOCK):
                        probes.enter_context(_bound(port))
            except OSError:
                continue
            yield list(range(first + 1, first + _BLOCK))
            return
    raise OSError(f"no {_BLOCK} free ports in a row between {_FIRST} and {_LAST}")


def free_port(address: str = "127.0.0.1") -> int:
    """Return a port on which nobody listens now; another program may take it meanwhile."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    try:
        bound.bind(("127.0.0.1", port))
    except OSError:
        bound.close()
        raise
    return bound
