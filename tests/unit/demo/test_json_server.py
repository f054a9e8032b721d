from __future__ import annotations

from http.server import HTTPServer
from typing import Any

import pytest

from demo.json_server import Answer, Refusal, Request, listen
from demo.stack.http import CallFailed, call, get, post


def _echo(request: Request) -> Answer:
    return Answer({"names": dict(request.names), "body": request.body})


def _refuse(_: Request) -> Answer:
    raise Refusal(409, "not now")


ROUTES = {("POST", r"/things/(?P<name>[^/]+)"): _echo, ("GET", "/refused"): _refuse}


def test_a_route_gets_its_named_groups_and_the_decoded_body(serve: Any) -> None:
    answer = post(f"{serve(ROUTES)}/things/one?ignored=1", {"a": [1]})
    assert answer == {"names": {"name": "one"}, "body": {"a": [1]}}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("GET", "/things/one", 404), ("GET", "/refused", 409)],
)
def test_what_no_route_serves_or_a_handler_refuses_is_told_with_its_status(
    serve: Any, method: str, path: str, status: int
) -> None:
    with pytest.raises(CallFailed) as failed:
        call(method, serve(ROUTES) + path)
    assert failed.value.status == status


def test_a_client_that_gave_up_does_not_stop_the_server() -> None:
    server = listen("127.0.0.1:0", {("GET", "/"): lambda _: Answer({})}, HTTPServer)
    with server:
        server.timeout = 5
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        with pytest.raises(CallFailed, match="timed out"):
            get(address, timeout_seconds=0.05)  # nobody serves yet
        server.handle_request()  # the connection of the one who left
