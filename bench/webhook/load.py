"""Bounded load: so many notifications from so many clients at once, over kept connections."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import quantiles


@dataclass(frozen=True, slots=True)
class Result:
    """What one run of load took. Times are seconds."""

    p50: float
    p99: float
    alerts_per_second: float
    refused: int
    """Answers that were not 2xx."""


def run(
    address: tuple[str, int],
    path: str,
    clients: int,
    each: int,
    body: Callable[[int], bytes],
    alerts: int,
) -> Result:
    """POST ``each`` bodies of ``alerts`` alerts from each of ``clients`` threads.

    ``body`` makes the notification with the given number, before the clock starts.
    """
    bodies = [[body(client * each + n) for n in range(each)] for client in range(clients)]
    seconds: list[float] = []
    refused: list[int] = []
    gate = threading.Barrier(clients + 1)

    def client(mine: list[bytes]) -> None:
        connection = http.client.HTTPConnection(*address, timeout=120)
        connection.connect()
        gate.wait()
        for one in mine:
            began = time.perf_counter()
            connection.request("POST", path, one, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            seconds.append(time.perf_counter() - began)
            if not 200 <= answer.status < 300:
                refused.append(answer.status)
        connection.close()

    threads = [threading.Thread(target=client, args=(mine,)) for mine in bodies]
    for thread in threads:
        thread.start()
    gate.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    cuts = quantiles(seconds, n=100, method="inclusive") if len(seconds) > 1 else seconds * 99
    return Result(cuts[49], cuts[98], clients * each * alerts / took, len(refused))
