"""A real server on a real socket, and a line that is cut at any byte."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
import uvicorn

from services.uploader.client import UploadClient
from services.uploader.transfer import Timing
from tests.uploader.conftest import HALF, PROGRAM, Bench

DATA = os.urandom(5 << 20)


class CuttingLine:
    """A port that passes bytes on to another, and cuts each connection after so many of the client's bytes."""

    def __init__(self, target: int, cuts: list[int]) -> None:
        self._target = target
        self._cuts = cuts
        self.cut = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            left = self._cuts.pop(0) if self._cuts else None
            threading.Thread(target=self._pass_up, args=(client, server, left), daemon=True).start()
            threading.Thread(target=self._pass_down, args=(server, client), daemon=True).start()

    def _pass_up(self, client: socket.socket, server: socket.socket, left: int | None) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if left is not None and len(data) >= left:
                    server.sendall(data[:left])
                    self.cut += 1
                    break
                server.sendall(data)
                left = None if left is None else left - len(data)
        for each in (client, server):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _pass_down(server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                client.sendall(data)
        for each in (client, server):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@pytest.fixture
def port(bench: Bench) -> Iterator[int]:
    """The API on a port of this machine."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(bench.api.app, lifespan="off", log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(10)


@pytest.mark.parametrize(
    "cuts",
    [
        [1, 100, 300],
        [700, 1200, 2000],
        [(1 << 20) + 5, 3 << 20, 500],
        [(4 << 20) - 1, (4 << 20) + 1000, 600],
        [len(DATA) + 1000, 300],
    ],
    ids=str,
)
def test_an_upload_survives_cuts_at_any_byte(bench: Bench, port: int, cuts: list[int]) -> None:
    line = CuttingLine(port, list(cuts))
    timing = Timing(tries=10, backoff=HALF, sleep=bench.time.sleep)
    with UploadClient(f"http://127.0.0.1:{line.port}", bench.key, timing=timing) as client:
        outcome = client.upload_file(bench.write("a.bin", DATA), PROGRAM)
        again = client.upload_file(bench.write("a.bin", DATA), PROGRAM)
    line.close()
    assert line.cut == len(cuts)
    assert len(bench.stored()) == 1
    assert again.known
    assert bench.api.call("GET", f"/files/{outcome.raw_file_id}/content").content == DATA
