"""Uploads that are cut anywhere: between the steps of the last request, by other requests, by SIGKILL."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, func, select, text

from db.blobs import BlobStore
from db.repositories import audit, uploads
from db.repositories.access import bootstrap_admin
from db.schema.files import blob, raw_file, upload
from db.schema.people import audit_event
from db.schema.work import job
from services.api.uploads import completion
from services.api.uploads.staging import StagingFile
from services.settings import Settings
from tests.api.conftest import CHUNK, TUS, Api, encode_checksum, encode_metadata, list_staged, sha256

DATA = os.urandom(1000)


def crash(*_: object, **__: object) -> None:
    raise RuntimeError("cut")


POINTS: dict[str, tuple[Any, str]] = {
    "before the digest is kept": (uploads, "record_digest"),
    "before the bytes are moved": (BlobStore, "put_file"),
    "before the original is stored": (uploads, "store_original"),
    "before the job is inserted": (completion.jobs, "insert"),
    "before the upload is closed": (uploads, "mark_complete"),
    "before the audit entry": (audit, "record"),
    "before the staging file is dropped": (StagingFile, "drop"),
}


def count(engine: Engine, table: Any) -> int:
    with engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def check_received_once(api: Api, file_id: str) -> None:
    assert api.call("GET", f"/files/{file_id}/content").content == DATA
    assert [count(api.engine, table) for table in (raw_file, blob, job)] == [1, 1, 1]
    with api.engine.connect() as connection:
        entries = connection.execute(select(audit_event.c.id).where(audit_event.c.action == "file.received")).all()
    assert len(entries) == 1
    assert list_staged(api) == []


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("retry", ["HEAD", "PATCH"])
def test_the_last_request_can_be_cut_between_any_two_steps(
    api: Api, monkeypatch: pytest.MonkeyPatch, point: str, retry: str
) -> None:
    location = api.announce(DATA).headers["Location"]
    with monkeypatch.context() as patch:
        patch.setattr(*POINTS[point], crash)
        assert api.send(location, 0, DATA).status_code == 500
    api.state.digests.forget(uuid.UUID(location.rsplit("/", 1)[1]))
    if retry == "HEAD":
        answer = api.call("HEAD", location, headers=TUS)
        assert answer.headers["Upload-Offset"] == str(len(DATA))
    else:
        answer = api.send(location, len(DATA), b"")
    check_received_once(api, answer.headers["Faultlight-Raw-File"])


def test_bytes_moved_by_a_cut_request_are_found_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    location = api.announce(DATA).headers["Location"]
    with monkeypatch.context() as patch:
        patch.setattr(uploads, "store_original", crash)
        assert api.send(location, 0, DATA).status_code == 500
    upload_id = uuid.UUID(location.rsplit("/", 1)[1])
    assert not api.state.staging.path(upload_id).exists(), "the cut came after the move"
    assert api.offset(location) == len(DATA)
    check_received_once(api, api.call("GET", location).json()["raw_file_id"])


def test_bytes_lost_with_the_disk_are_asked_for_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    location = api.announce(DATA).headers["Location"]
    with monkeypatch.context() as patch:
        patch.setattr(BlobStore, "put_file", crash)
        assert api.send(location, 0, DATA).status_code == 500
    api.state.staging.path(uuid.UUID(location.rsplit("/", 1)[1])).unlink()
    assert api.offset(location) == 0
    check_received_once(api, api.send(location, 0, DATA).headers["Faultlight-Raw-File"])


def test_a_commit_that_fails_leaves_nothing(api: Api) -> None:
    with api.engine.begin() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION faultlight.fail_commit() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'the commit fails'; END $$"
            )
        )
        connection.execute(
            text(
                "CREATE CONSTRAINT TRIGGER fail_commit AFTER INSERT ON faultlight.raw_file "
                "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION faultlight.fail_commit()"
            )
        )
    try:
        location = api.announce(DATA).headers["Location"]
        answer = api.send(location, 0, DATA)
        assert answer.status_code == 500
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "/problems/internal-error"
        assert "the commit fails" not in answer.text
        assert [count(api.engine, table) for table in (raw_file, blob, job)] == [0, 0, 0]
        assert api.doorbell.rung == []
    finally:
        with api.engine.begin() as connection:
            connection.execute(text("DROP FUNCTION faultlight.fail_commit() CASCADE"))
    assert api.offset(location) == len(DATA)
    check_received_once(api, api.call("GET", location).json()["raw_file_id"])


def async_client(api: Api) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(api.app, raise_app_exceptions=False),
        base_url="http://test/",
        headers={"Authorization": f"Bearer {api.admin_key}"},
        timeout=20,
    )


def test_concurrent_requests_at_one_offset_count_once(api: Api) -> None:
    location = api.announce(DATA).headers["Location"]

    async def race() -> list[httpx.Response]:
        async with async_client(api) as client:
            headers = {**CHUNK, "Upload-Offset": "0"}
            sends = [client.patch(location, content=DATA, headers=headers) for _ in range(6)]
            return await asyncio.gather(*sends)

    statuses = sorted(answer.status_code for answer in asyncio.run(race()))
    assert statuses[0] == 204
    assert set(statuses[1:]) <= {409, 423}
    check_received_once(api, api.call("GET", location).json()["raw_file_id"])


@pytest.mark.parametrize(("checksum", "kept"), [(False, 400), (True, 0)])
def test_asking_for_the_offset_interrupts_a_dead_request(api: Api, checksum: bool, kept: int) -> None:
    location = api.announce(DATA).headers["Location"]

    async def stalled() -> AsyncIterator[bytes]:
        yield DATA[:400]
        await asyncio.sleep(30)
        yield DATA[400:]

    async def play() -> tuple[httpx.Response, httpx.Response]:
        async with async_client(api) as client:
            headers = {**CHUNK, "Upload-Offset": "0"}
            if checksum:
                headers["Upload-Checksum"] = encode_checksum(DATA)
            dead = asyncio.create_task(client.patch(location, content=stalled(), headers=headers))
            path = api.state.staging.path(uuid.UUID(location.rsplit("/", 1)[1]))
            for _ in range(200):
                await asyncio.sleep(0.02)
                if path.exists() and path.stat().st_size == 400:
                    break
            head = await client.head(location, headers=TUS)
            return await dead, head

    dead, head = asyncio.run(play())
    assert dead.status_code == 409
    assert head.headers["Upload-Offset"] == str(kept)
    check_received_once(api, api.send(location, kept, DATA[kept:]).headers["Faultlight-Raw-File"])


@pytest.fixture
def serve(settings: Settings, database_url: str) -> Iterator[Any]:
    """Starts API processes of their own; returns (process, base URL)."""
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> tuple[subprocess.Popen[bytes], str]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment = os.environ | {
            "FAULTLIGHT_DATA_DIR": str(settings.data_dir),
            "FAULTLIGHT_DATABASE_URL": database_url,
            "FAULTLIGHT_LOG_LEVEL": "ERROR",
            "FAULTLIGHT_STAGING_RESERVE_BYTES": "1",
        }
        command = [sys.executable, "-m", "uvicorn", "services.api.app:create_app", "--factory", "--port", str(port)]
        folder = Path(__file__).resolve().parents[2]
        process = subprocess.Popen([*command, "--log-level", "error"], env=environment, cwd=folder)
        processes.append(process)
        url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                if httpx.get(f"{url}/readyz", trust_env=False).status_code == 200:
                    return process, url
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        raise AssertionError("the API did not come up")

    yield start
    for process in processes:
        process.kill()
        process.wait()


def test_an_upload_survives_a_killed_process_at_any_byte(serve: Any, engine: Engine) -> None:
    with engine.begin() as connection:
        key = bootstrap_admin(connection)
    data = os.urandom(3 << 20)
    headers = {"Authorization": f"Bearer {key}"}
    process, url = serve()
    client = httpx.Client(headers=headers, trust_env=False, timeout=20)
    client.post(f"{url}/api/v1/programs", json={"name": "alpha"}).raise_for_status()
    metadata = encode_metadata({"filename": "a", "program": "alpha"})
    created = client.post(
        f"{url}/api/v1/uploads", headers={**TUS, "Upload-Length": str(len(data)), "Upload-Metadata": metadata}
    )
    location = created.headers["Location"]

    def until_killed() -> Iterator[bytes]:
        yield data[: 1 << 20]
        yield data[1 << 20 : (1 << 20) + 777]
        time.sleep(0.6)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        yield data[(1 << 20) + 777 :]

    with pytest.raises(httpx.HTTPError):
        client.patch(f"{url}{location}", content=until_killed(), headers={**CHUNK, "Upload-Offset": "0"})
    _, url = serve()
    with httpx.Client(headers=headers, trust_env=False, timeout=20) as again:
        offset = int(again.head(f"{url}{location}", headers=TUS).headers["Upload-Offset"])
        assert offset == (1 << 20) + 777
        final = again.patch(f"{url}{location}", content=data[offset:], headers={**CHUNK, "Upload-Offset": str(offset)})
        assert final.status_code == 204, final.text
        stored = again.get(f"{url}/api/v1/files/{final.headers['Faultlight-Raw-File']}").json()
    assert stored["sha256"] == sha256(data)
    assert count(engine, upload) == 1
