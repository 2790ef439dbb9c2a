"""The real API without sockets, a clock that only moves when told, and a watch of a folder on both."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from db.schema.files import raw_file, upload
from services.uploader.backoff import Backoff
from services.uploader.client import UploadClient
from services.uploader.journal import Journal
from services.uploader.observer import Observer
from services.uploader.transfer import Timing, Unfinished
from services.uploader.watcher import Clockwork, Watcher, WatchOptions
from tests.api.conftest import (  # noqa: F401
    Api,
    api,
    quiet_logs,
    settings,
    shared_app,
    start_api,
)

URL = "http://testserver"
PROGRAM = "alpha"
HALF = Backoff(draw=lambda: 0.5)
Act = Callable[[httpx.Request, Callable[[], httpx.Response]], httpx.Response]


@dataclass
class FakeTime:
    """Monotonic seconds; sleeping moves them."""

    now_s: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds


@dataclass
class Wire(httpx.BaseTransport):
    """The way to the application; ``act`` may change, lose or answer a request."""

    inner: httpx.BaseTransport
    act: Act | None = None
    seen: list[str] = field(default_factory=list)
    body_bytes: int = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request.method)

        def deliver() -> httpx.Response:
            if "Upload-Checksum" in request.headers:
                self.body_bytes += len(request.read())
            return self.inner.handle_request(request)

        return deliver() if self.act is None else self.act(request, deliver)

    def close(self) -> None:
        """The application goes on when a client closes."""


def answer(status: int, headers: Mapping[str, str] | None = None, problem: str | None = None) -> httpx.Response:
    """An answer that the application did not give."""
    if problem is None:
        return httpx.Response(status, headers=headers, text="<html>busy</html>")
    document = {"type": f"/problems/{problem}", "title": problem, "status": status, "detail": f"made up: {problem}"}
    return httpx.Response(
        status, headers={"Content-Type": "application/problem+json", **(headers or {})}, json=document
    )


@dataclass
class Bench:
    """Clients and watches of one API on one fake clock."""

    api: Api
    folder: Path
    journal_path: Path
    wire: Wire
    time: FakeTime = field(default_factory=FakeTime)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    key: str = ""

    def client(
        self, tries: int = 4, unfinished: Unfinished | None = None, observer: Observer | None = None
    ) -> UploadClient:
        timing = Timing(tries=tries, backoff=HALF, sleep=self.time.sleep, clock=self.time.clock)
        return UploadClient(URL, self.key, timing=timing, unfinished=unfinished, observer=observer, transport=self.wire)

    def write(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def tell(self, event: str, facts: Mapping[str, Any]) -> None:
        self.events.append((event, dict(facts)))

    def told(self, event: str) -> list[dict[str, Any]]:
        return [facts for kind, facts in self.events if kind == event]

    def watcher(self, journal: Journal, **changes: Any) -> Watcher:
        options = WatchOptions(self.folder, PROGRAM, **{"backoff": Backoff(4.0, 300.0, lambda: 0.5), **changes})
        clockwork = Clockwork(self.time.sleep, self.time.clock)
        return Watcher(options, journal, lambda: self.client(2, journal), self.tell, clockwork)

    def settle(self, watcher: Watcher, steps: int = 3, step_s: float = 10.0) -> None:
        """Look several times."""
        for _ in range(steps):
            watcher.step()
            self.time.now_s += step_s

    def stored(self) -> dict[str, tuple[str, int]]:
        """Name and size of the stored originals by sha256; fails when one is there twice."""
        with self.api.engine.connect() as connection:
            rows = connection.execute(select(raw_file.c.sha256, raw_file.c.filename, raw_file.c.size_bytes)).all()
        assert len({row.sha256 for row in rows}) == len(rows)
        return {row.sha256: (row.filename, row.size_bytes) for row in rows}

    def open_uploads(self) -> int:
        with self.api.engine.connect() as connection:
            query = select(func.count()).select_from(upload).where(upload.c.completed_at.is_(None))
            return int(connection.execute(query).scalar_one())


@pytest.fixture
def bench(api: Api, tmp_path: Path) -> Bench:  # noqa: F811
    """A bench on a fresh API with the program ``alpha``."""
    return make_bench(api, tmp_path)


def make_bench(made: Api, tmp_path: Path) -> Bench:
    """A bench on an API that a test has started itself."""
    folder = tmp_path / "instrument"
    folder.mkdir()
    return Bench(made, folder, tmp_path / "state" / "watch.sqlite", Wire(made.client._transport), key=made.admin_key)


@pytest.fixture
def journal(bench: Bench) -> Iterator[Journal]:
    """The bench's journal."""
    made = Journal(bench.journal_path)
    yield made
    made.close()
