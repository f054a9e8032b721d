"""An SSH server that stops answering where a real one cannot be made to."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import paramiko
from paramiko.common import AUTH_SUCCESSFUL, OPEN_SUCCEEDED


class FakeSshd(paramiko.ServerInterface):
    """Accepts every key and command, but for the one thing in ``silent_at``.

    ``silent_at``: auth, channel or exec.
    """

    def __init__(self, host_key: Path, silent_at: str = "") -> None:
        self._host_key = paramiko.PKey.from_path(host_key)
        self._silent_at = silent_at
        self._closing = threading.Event()
        self._transports: list[paramiko.Transport] = []
        self.commands: list[bytes] = []

    @contextlib.contextmanager
    def running(self) -> Iterator[int]:
        """Serve on the port that this yields."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=self._serve, args=(listener,))
            thread.start()
            try:
                yield int(listener.getsockname()[1])
            finally:
                self._closing.set()
                listener.shutdown(socket.SHUT_RDWR)
                thread.join()
                for transport in self._transports:
                    transport.close()
                    transport.join()

    def _serve(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                transport = paramiko.Transport(connection)
                transport.add_server_key(self._host_key)
                transport.start_server(server=self, event=threading.Event())
                self._transports.append(transport)

    def _stop_at(self, point: str) -> None:
        if self._silent_at == point:
            self._closing.wait(60)

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self._stop_at("auth")
        return AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        self._stop_at("channel")
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.commands.append(command)
        self._stop_at("exec")
        threading.Thread(target=self._run, args=(channel,)).start()
        return True

    def _run(self, channel: paramiko.Channel) -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):  # it may be gone
            channel.recv(1)  # the client ends its stdin once its request is granted
            channel.sendall(b"done\n")
            channel.send_exit_status(0)
            channel.close()
