"""An API on a fresh database, with its callers."""

import base64
import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import structlog
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import Engine

from db.blobs import BlobStore
from db.migration import head_revision
from db.repositories.access import bootstrap_admin
from services.api.app import make_app
from services.api.ratelimit import RateLimiter
from services.api.recent_keys import RecentKeys
from services.api.state import ApiState
from services.api.uploads.digests import RunningDigests
from services.api.uploads.staging import Staging
from services.settings import Settings
from services.stores import open_reading_engine
from services.telemetry import configure_logging

TUS = {"Tus-Resumable": "1.0.0"}
CHUNK = {**TUS, "Content-Type": "application/offset+octet-stream"}


@dataclass
class SilentDoorbell:
    """Remembers which jobs were rung for."""

    rung: list[uuid.UUID] = field(default_factory=list)

    def ring(self, job_id: uuid.UUID, queue: str, priority: int) -> bool:
        self.rung.append(job_id)
        return True


@dataclass
class Api:
    """The application under test, with the installation's admin as its default caller."""

    app: FastAPI
    state: ApiState
    engine: Engine
    doorbell: SilentDoorbell
    client: TestClient
    admin_key: str

    def call(self, method: str, path: str, key: str | None = None, **rest: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key or self.admin_key}"} | rest.pop("headers", {})
        url = path if path.startswith("/api/v1") else f"/api/v1{path}"
        return self.client.request(method, url, headers=headers, **rest)

    def announce(self, data: bytes, name: str = "a.csv", key: str | None = None, **metadata: str) -> httpx.Response:
        """Begin an upload of ``data`` to the program ``alpha``."""
        metadata = {"filename": name, "program": "alpha"} | metadata
        headers = {**TUS, "Upload-Length": str(len(data)), "Upload-Metadata": encode_metadata(metadata)}
        return self.call("POST", "/uploads", key, headers=headers)

    def send(self, location: str, offset: int, data: bytes, **headers: str) -> httpx.Response:
        return self.call("PATCH", location, content=data, headers={**CHUNK, "Upload-Offset": str(offset), **headers})

    def offset(self, location: str) -> int:
        answer = self.call("HEAD", location, headers=TUS)
        assert answer.status_code == 200, answer.status_code
        return int(answer.headers["Upload-Offset"])

    def upload(self, data: bytes, name: str = "a.csv", **metadata: str) -> httpx.Response:
        """Upload ``data`` in one piece; the answer to its PATCH."""
        answer = self.announce(data, name, **metadata)
        assert answer.status_code == 201, answer.text
        return self.send(answer.headers["Location"], 0, data)


def list_staged(api: Api) -> list[str]:
    """The names of the files in the staging folder."""
    return sorted(path.name for path in api.state.staging.folder.iterdir())


def encode_metadata(pairs: dict[str, str]) -> str:
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in pairs.items())


def encode_checksum(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    broker = os.environ.get("FAULTLIGHT_TEST_BROKER_URL")
    return Settings(
        data_dir=tmp_path,
        database_url=SecretStr(database_url),
        broker_url=SecretStr(broker) if broker else None,
        staging_reserve_bytes=1 << 20,
        upload_max_bytes=1 << 30,
        smtp_host="mail.example",
        smtp_sender="faultlight@mail.example",
    )


StartApi = Callable[..., Api]


@pytest.fixture(scope="session", autouse=True)
def quiet_logs() -> Iterator[None]:
    """Logs as in production, errors only: the default rendering of tracebacks takes seconds."""
    configure_logging(Settings(log_level="ERROR"))
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def shared_app() -> FastAPI:
    """The application; making its routes takes longer than most tests."""
    return make_app()


@pytest.fixture
def start_api(settings: Settings, engine: Engine, blobs: BlobStore, shared_app: FastAPI) -> Iterator[StartApi]:
    """Starts an API with some settings changed; ``raise_server_exceptions`` is off, as for a real client."""
    clients: list[TestClient] = []

    def start(**changes: Any) -> Api:
        changed = settings.model_copy(update=changes)
        doorbell = SilentDoorbell()
        state = ApiState(
            settings=changed,
            engine=engine,
            reading_engine=open_reading_engine(changed),
            blobs=blobs,
            doorbell=doorbell,
            limiter=RateLimiter(None, 0),
            recent_keys=RecentKeys(changed.key_cache_s),
            staging=Staging(changed.staging()),
            digests=RunningDigests(),
            file_threads=anyio.CapacityLimiter(4),
            head_revision=head_revision(),
        )
        app = shared_app
        app.state.api = state
        with engine.begin() as connection:
            key = bootstrap_admin(connection)
        client = TestClient(app, raise_server_exceptions=False)
        clients.append(client.__enter__())
        return Api(app, state, engine, doorbell, client, key)

    yield start
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def api(start_api: StartApi) -> Api:
    """An API with the program ``alpha``."""
    made = start_api()
    answer = made.call("POST", "/programs", json={"name": "alpha"})
    assert answer.status_code == 201, answer.text
    return made
