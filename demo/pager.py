"""The pager: stands for the people on call. It keeps every notification that it is sent.

python -m demo.pager --listen 127.0.0.1:9900

POST /                 Alertmanager's webhook
GET  /notifications    [{"received_at", "notification"}], oldest first
GET  /pages            one entry for each alert of each notification: what people would read
"""

from __future__ import annotations

import argparse
import threading
from datetime import UTC, datetime
from http.server import ThreadingHTTPServer

from demo.json_server import Answer, Json, Refusal, Request, Routes, listen


class Pager:
    """The notifications so far."""

    def __init__(self) -> None:
        self._notifications: list[dict[str, Json]] = []
        self._lock = threading.Lock()

    def routes(self) -> Routes:
        return {
            ("POST", "/"): self.receive,
            ("GET", "/notifications"): self.notifications,
            ("GET", "/pages"): self.pages,
        }

    def receive(self, request: Request) -> Answer:
        if not isinstance(request.body, dict) or not isinstance(request.body.get("alerts"), list):
            raise Refusal(400, "not an Alertmanager notification")
        received_at = datetime.now(UTC).isoformat()
        with self._lock:
            self._notifications.append({"received_at": received_at, "notification": request.body})
        return Answer({})

    def notifications(self, _: Request) -> Answer:
        with self._lock:
            return Answer(list(self._notifications))

    def pages(self, _: Request) -> Answer:
        with self._lock:
            kept = list(self._notifications)
        return Answer(
            [
                {
                    "received_at": each["received_at"],
                    "status": alert.get("status"),
                    "labels": alert.get("labels"),
                    "annotations": alert.get("annotations"),
                }
                for each in kept
                for alert in each["notification"]["alerts"]
            ]
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="keeps what Alertmanager would page people with")
    parser.add_argument("--listen", default="127.0.0.1:9900", metavar="HOST:PORT")
    options = parser.parse_args()
    listen(options.listen, Pager().routes(), ThreadingHTTPServer).serve_forever()


if __name__ == "__main__":
    main()
