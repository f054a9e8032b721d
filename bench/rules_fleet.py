"""A simulated fleet: what many hosts' exporters, pings and a responder tell, on a few pages.

Each page stands for a hundred hosts. It carries the labels that a fleet's targets would have
(honor_labels), so that the rules see as many series as in a real fleet, without the cost of
serving ten thousand connections from the machine that is being measured.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from demo.http_server import Reply, Request, serving

HOSTS_A_PAGE = 100
VARIANTS = 8
"""Pages are rendered in advance, in so many variants that follow each other in time."""
VARIANT_SECONDS = 10

MIB = 1024**2
GIB = 1024**3


def host_series(number: int, variant: int) -> str:
    """Returns what one host tells: in 1,000 hosts 80 are above the alarm threshold, 5 of them above
    the hard limit, 20 busy, 100 with limits of their own, 10 without an answer to pings."""
    host = f'host="h{number:05d}"'
    agent = f'{host},agent="agent",instance="10.0.0.1:10058",job="memleash-exporter"'
    ping = f'{host},instance="10.0.0.1",job="memleash-ping"'
    lines = [
        f'up{{{host},instance="10.0.0.1:10058",job="memleash-exporter"}} 1',
        f"memleash_agent_up{{{agent}}} 1",
        f"memleash_agent_resident_memory_bytes{{{agent}}} {_memory(number, variant)}",
        f"memleash_agent_limited_memory_bytes{{{agent}}} {_memory(number, variant)}",
        f"memleash_agent_start_time_seconds{{{agent}}} {1_700_000_000 + number}.25",
        f"memleash_agent_busy{{{agent}}} {int(number % 50 == 3)}",
        f"memleash_agent_ready{{{agent}}} 1",
        f"memleash_agent_sample_success{{{agent}}} 1",
        f"up{{{ping}}} 1",
        f"probe_success{{{ping}}} {int(number % 100 != 3)}",
    ]
    if number % 10 == 0:
        lines += [
            f"memleash_agent_memory_alarm_threshold_bytes{{{agent}}} {3 * GIB}",
            f"memleash_agent_memory_hard_limit_bytes{{{agent}}} {12 * GIB}",
        ]
    if number % 20 == 0:
        told = f'{host},agent="agent",instance="10.0.0.2:10059",job="memleash-responder"'
        name = "memleash_responder_last_restart_timestamp_seconds"
        lines.append(f'{name}{{{told},outcome="restarted"}} {1_700_000_000 + number}')
    return "\n".join(lines) + "\n"


def _memory(number: int, variant: int) -> int:
    wave = variant * MIB * (number % 7)
    if number % 200 == 7:
        return 13 * GIB + wave
    if number % 40 in (1, 2, 3):
        return 3 * GIB + wave
    return 500 * MIB + wave


def pages(hosts: int, variant: int) -> dict[str, bytes]:
    """Returns path to page for so many hosts."""
    return {
        f"/pages/{first // HOSTS_A_PAGE}": "".join(
            host_series(number, variant)
            for number in range(first, min(first + HOSTS_A_PAGE, hosts))
        ).encode()
        for first in range(0, hosts, HOSTS_A_PAGE)
    }


@contextmanager
def serve(hosts: int) -> Iterator[tuple[str, list[str]]]:
    """Serves the fleet on loopback; yields its address and the pages' paths."""
    variants = [pages(hosts, variant) for variant in range(VARIANTS)]

    def answer(asked: Request) -> Reply:
        page = variants[int(time.time() / VARIANT_SECONDS) % VARIANTS][asked.path]
        return Reply(200, page, {"Content-Type": "text/plain; version=0.0.4"})

    with serving(answer, keeps_connections=True) as served:
        yield served.address, list(variants[0])
