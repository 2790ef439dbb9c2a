"""A small file in one request: stored in one transaction, or left to the ordinary way as if nothing had been read."""

import asyncio
import errno
import threading
from typing import Any

import pytest
from sqlalchemy import func, select
from starlette.requests import ClientDisconnect, Request

from db.schema.files import blob, raw_file, upload
from db.schema.people import audit_event
from db.schema.work import job
from services.api.uploads import at_once
from services.api.uploads.at_once import AT_ONCE_BYTES, read_body
from tests.api.conftest import CHUNK, TUS, Api, StartApi, encode_checksum, encode_metadata, list_staged, sha256

DATA = b"the bytes of a small file" * 10
KEY = "0123456789abcdef"


def send(api: Api, data: bytes = DATA, body: bytes | None = None, **metadata: str) -> Any:
    """Begin an upload of ``data`` with ``body`` (default: all of it) and its checksum."""
    body = data if body is None else body
    pairs = {"filename": "a.csv", "program": "alpha"} | metadata
    headers = {**CHUNK, "Upload-Length": str(len(data)), "Upload-Metadata": encode_metadata(pairs)}
    return api.call("POST", "/uploads", content=body, headers={**headers, "Upload-Checksum": encode_checksum(body)})


def counts(api: Api) -> tuple[int, ...]:
    """Uploads, originals, blobs, jobs."""
    with api.engine.connect() as connection:
        tables = (upload, raw_file, blob, job)
        return tuple(connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables)


def test_it_is_one_complete_upload_and_was_never_staged(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(api.state.staging), "try_lock", lambda *_: pytest.fail("it was staged"))
    answer = send(api, sha256=sha256(DATA), **{"creation-key": KEY})
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, str(len(DATA)))
    assert counts(api) == (1, 1, 1, 1)
    file = api.call("GET", f"/files/{answer.headers['Faultlight-Raw-File']}").json()
    assert (file["filename"], file["size_bytes"], file["sha256"]) == ("a.csv", len(DATA), sha256(DATA))
    assert api.call("GET", f"/files/{file['id']}/content").content == DATA
    assert api.call("GET", f"/jobs/{answer.headers['Faultlight-Job']}").json()["payload"] == {"raw_file_id": file["id"]}
    monkeypatch.undo()
    assert api.offset(answer.headers["Location"]) == len(DATA)
    shown = api.call("GET", answer.headers["Location"]).json()
    assert (shown["raw_file_id"], shown["job_id"]) == (file["id"], answer.headers["Faultlight-Job"])
    assert len(api.doorbell.rung) == 1
    with api.engine.connect() as connection:
        query = select(audit_event.c.after).where(audit_event.c.action == "file.received")
        (after,) = connection.execute(query).scalars()
    assert after == {"sha256": sha256(DATA), "size_bytes": len(DATA), "filename": "a.csv", "new": True}


def test_a_wrong_checksum_leaves_an_upload_to_be_continued(api: Api) -> None:
    headers = {**CHUNK, "Upload-Length": str(len(DATA)), "Upload-Checksum": encode_checksum(b"other")}
    headers["Upload-Metadata"] = encode_metadata({"filename": "a.csv", "program": "alpha"})
    answer = api.call("POST", "/uploads", content=DATA, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (460, "/problems/checksum-mismatch")
    assert api.offset(answer.headers["Location"]) == 0
    assert api.send(answer.headers["Location"], 0, DATA).status_code == 204
    assert counts(api) == (1, 1, 1, 1)


def test_other_bytes_than_declared_are_dropped(api: Api) -> None:
    answer = send(api, sha256=sha256(b"other"))
    assert (answer.status_code, answer.json()["type"]) == (460, "/problems/checksum-mismatch")
    assert counts(api) == (0, 0, 0, 0)


@pytest.mark.parametrize("length", [AT_ONCE_BYTES, AT_ONCE_BYTES + 1])
def test_a_larger_file_is_staged(api: Api, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    whole: list[bool] = []
    verify = at_once.verify

    def watch(*arguments: Any) -> Any:
        file = verify(*arguments)
        whole.append(file is not None)
        return file

    monkeypatch.setattr(at_once, "verify", watch)
    answer = send(api, b"x" * length)
    assert (answer.status_code, whole) == (201, [length == AT_ONCE_BYTES])
    assert "Faultlight-Raw-File" in answer.headers
    assert list_staged(api) == []


def test_the_first_part_of_a_file_is_staged(api: Api) -> None:
    answer = send(api, body=DATA[:100])
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, "100")
    assert api.send(answer.headers["Location"], 100, DATA[100:]).status_code == 204
    assert counts(api) == (1, 1, 1, 1)


def test_an_upload_begun_before_with_the_same_key_takes_the_bytes(api: Api) -> None:
    metadata = {"sha256": sha256(DATA), "creation-key": KEY}
    first = api.announce(DATA, **metadata).headers["Location"]
    answer = send(api, **metadata)
    assert (answer.status_code, answer.headers["Location"]) == (201, first)
    assert "Faultlight-Raw-File" in answer.headers
    assert send(api, **metadata).status_code == 200
    assert counts(api) == (1, 1, 1, 1)


def test_a_crash_between_object_and_rows_leaves_nothing_that_a_repetition_minds(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_once, "place_original", lambda *_: 1 / 0)
    assert send(api).status_code == 500
    assert counts(api) == (0, 0, 0, 0)
    assert [info.size_bytes for info in api.state.blobs.list()] == [len(DATA)]
    monkeypatch.undo()
    assert send(api).status_code == 201
    assert counts(api) == (1, 1, 1, 1)


def test_a_full_disk_is_told(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(type(api.state.blobs), "put_bytes", fill)
    answer = send(api)
    assert (answer.status_code, answer.json()["type"]) == (507, "/problems/insufficient-storage")
    assert counts(api) == (0, 0, 0, 0)


def together(api: Api, contents: list[bytes]) -> list[Any]:
    answers: list[Any] = [None] * len(contents)
    start = threading.Barrier(len(contents))

    def one(index: int) -> None:
        start.wait()
        answers[index] = send(api, contents[index], **{"creation-key": f"{KEY}{index}"})

    threads = [threading.Thread(target=one, args=(index,)) for index in range(len(contents))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_the_same_bytes_from_many_at_once_are_one_file(api: Api) -> None:
    answers = together(api, [DATA] * 8)
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert len({answer.headers["Faultlight-Raw-File"] for answer in answers}) == 1
    assert len({answer.headers["Faultlight-Job"] for answer in answers}) == 1
    assert counts(api)[1:] == (1, 1, 1)


def test_the_quota_holds_when_many_come_at_once(start_api: StartApi) -> None:
    api = start_api(program_quota_bytes=3 * len(DATA) + 10)
    api.call("POST", "/programs", json={"name": "alpha"})
    answers = together(api, [bytes([index]) * len(DATA) for index in range(8)])
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [413] * 5
    assert counts(api)[:3] == (3, 3, 3)


def request_of(pieces: list[bytes], length: int, *, cut: bool) -> Request:
    """A request whose body comes in pieces; ``cut`` ends it before the last."""
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.disconnect"} if cut else {"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Any:
        return messages.pop(0)

    headers = {**TUS, **CHUNK, "Upload-Length": str(length), "Content-Length": str(length), "Upload-Checksum": "sha1 x"}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": raw}, receive)


def test_a_body_that_was_cut_is_replayed_with_its_cut() -> None:
    async def look() -> tuple[bool, list[bytes], bool]:
        request = request_of([b"abc", b"def"], 9, cut=True)
        body = await read_body(request)
        seen: list[bytes] = []
        try:
            async for piece in body.replay(request):
                seen.append(piece)
        except ClientDisconnect:
            return body.whole, seen, True
        return body.whole, seen, False

    assert asyncio.run(look()) == (False, [b"abcdef"], True)


@pytest.mark.parametrize(("length", "whole"), [(6, True), (AT_ONCE_BYTES + 1, False)])
def test_a_body_is_replayed_whole(length: int, whole: bool) -> None:
    async def look() -> tuple[bool, bytes]:
        request = request_of([b"abc", b"def"], length, cut=False)
        body = await read_body(request)
        return body.whole, b"".join([piece async for piece in body.replay(request)])

    assert asyncio.run(look()) == (whole, b"abcdef")
