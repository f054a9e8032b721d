"""A kvmagent for tests: it leaks when it is told to, and dumps itself on SIGUSR2.

    python -m tests.support.zstack.kvmagent --listen 127.0.0.1:7070 --name kvm-1

As ZStack's own: /host/echo answers any method with 200 and nothing, and SIGUSR2 has it write its
threads and how many objects of each type there are into its log. It is no daemon by itself, and
takes the flags of demo.agent; POST /grow is what that one has.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import FrameType

from demo.agent import Agent, end_with
from demo.http_server import Reply, Request, as_json, listen
from demo.json_server import Request as Asked


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--start-delay", type=float, default=0.0)
    parser.add_argument("--end-with", type=int, required=True)
    parser.add_argument("--log", type=Path, default=Path(os.devnull))
    options = parser.parse_args()

    def write(text: str) -> None:
        with options.log.open("a", encoding="utf-8") as log:
            log.write(text)

    def dump(_signal: int, _frame: FrameType | None) -> None:
        write(dumped())

    write("the agent begins\n")
    signal.signal(signal.SIGUSR2, dump)
    threading.Thread(target=end_with, args=(options.end_with,), daemon=True).start()
    time.sleep(options.start_delay)
    agent = Agent(options.name, None)

    def answer(request: Request) -> Reply:
        if request.route == "/grow":
            return as_json(agent.grow(Asked("/grow", {}, request.json())).body)
        return Reply(200 if request.route == "/host/echo" else 404)

    listen(options.listen, answer, ThreadingHTTPServer).serve_forever()


def dumped() -> str:
    """Return the threads of this process, and how many objects of each type there are."""
    names = {one.ident: one.name for one in threading.enumerate()}
    threads = [
        f"thread {names.get(ident)}\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()
    ]
    counts = Counter(type(one).__name__ for one in gc.get_objects())
    types = [f"{name} {count}" for name, count in counts.most_common(20)]
    return "\n".join([*threads, "types:", *types, ""])


if __name__ == "__main__":
    main()
