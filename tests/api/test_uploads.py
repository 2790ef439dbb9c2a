"""Uploads by tus: every header, every offset, every mistake a client can make."""

import os
import uuid
from typing import Any

import pytest
from sqlalchemy import func, select

from db.schema.files import raw_file, upload
from db.schema.people import audit_event
from db.schema.work import job
from tests.api.conftest import CHUNK, TUS, Api, StartApi, encode_checksum, encode_metadata, list_staged, sha256

DATA = bytes(range(256)) * 40


def count(api: Api, table: Any) -> int:
    with api.engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def problem(answer: Any) -> str:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    document = answer.json()
    assert document["status"] == answer.status_code
    return str(document["type"]).removeprefix("/problems/")


def test_a_file_is_received_and_asks_for_its_reading(api: Api) -> None:
    answer = api.upload(DATA, "scope.csv", sha256=sha256(DATA))
    assert answer.status_code == 204
    assert answer.headers["Tus-Resumable"] == "1.0.0"
    assert answer.headers["Upload-Offset"] == str(len(DATA))
    file_id, job_id = answer.headers["Faultlight-Raw-File"], answer.headers["Faultlight-Job"]
    assert api.doorbell.rung == [uuid.UUID(job_id)]
    stored = api.call("GET", f"/files/{file_id}").json()
    assert (stored["filename"], stored["size_bytes"], stored["sha256"]) == ("scope.csv", len(DATA), sha256(DATA))
    assert stored["state"] == "received"
    queued = api.call("GET", f"/jobs/{job_id}").json()
    assert (queued["kind"], queued["state"], queued["payload"]) == ("ingest", "queued", {"raw_file_id": file_id})
    assert queued["request_id"] == answer.headers["X-Request-ID"]
    assert api.call("GET", f"/files/{file_id}/content").content == DATA
    assert list_staged(api) == []
    with api.engine.connect() as connection:
        actions = connection.execute(select(audit_event.c.action)).scalars().all()
    assert "file.received" in actions


def test_the_server_says_what_it_speaks_without_a_key(api: Api) -> None:
    answer = api.client.options("/api/v1/uploads")
    assert answer.status_code == 204
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert set(answer.headers["Tus-Extension"].split(",")) >= {"creation", "checksum", "expiration", "termination"}
    assert answer.headers["Tus-Checksum-Algorithm"] == "sha256,sha1"
    assert answer.headers["Tus-Max-Size"] == str(1 << 30)


def test_an_upload_resumes_after_a_cut_at_every_byte(api: Api) -> None:
    for cut in range(65):
        data = os.urandom(32) + bytes([cut]) * 32
        location = api.announce(data, f"{cut}.bin").headers["Location"]
        first = api.send(location, 0, data[:cut])
        assert first.status_code == 204
        assert api.offset(location) == cut
        if cut < 64:
            last = api.send(location, cut, data[cut:])
            assert last.status_code == 204
            file_id = last.headers["Faultlight-Raw-File"]
        else:
            file_id = first.headers["Faultlight-Raw-File"]
        assert api.call("GET", f"/files/{file_id}/content").content == data
    assert count(api, raw_file) == 65


def test_a_known_file_needs_no_bytes(api: Api) -> None:
    first = api.upload(DATA)
    again = api.announce(DATA, "other-name.csv", sha256=sha256(DATA))
    assert again.status_code == 200
    assert again.json() == {
        "raw_file_id": first.headers["Faultlight-Raw-File"],
        "state": "received",
        "known": True,
        "job_id": first.headers["Faultlight-Job"],
    }
    assert count(api, upload) == 1
    api.call("POST", "/programs", json={"name": "beta"})
    elsewhere = api.announce(DATA, sha256=sha256(DATA), program="beta")
    assert elsewhere.status_code == 201


def test_the_same_bytes_sent_twice_are_one_file(api: Api) -> None:
    first, second = api.upload(DATA), api.upload(DATA)
    assert first.headers["Faultlight-Raw-File"] == second.headers["Faultlight-Raw-File"]
    assert first.headers["Faultlight-Job"] == second.headers["Faultlight-Job"]
    assert (count(api, raw_file), count(api, job)) == (1, 1)
    assert list_staged(api) == []


def test_an_empty_file_is_complete_at_once(api: Api) -> None:
    answer = api.announce(b"", "empty.csv")
    assert answer.status_code == 201
    content = api.call("GET", f"/files/{answer.headers['Faultlight-Raw-File']}/content")
    assert (content.status_code, content.content) == (200, b"")
    assert "Faultlight-Job" in answer.headers


@pytest.mark.parametrize("algorithm", ["sha256", "sha1"])
def test_a_verified_chunk_counts(api: Api, algorithm: str) -> None:
    location = api.announce(DATA).headers["Location"]
    half = len(DATA) // 2
    for start, part in ((0, DATA[:half]), (half, DATA[half:])):
        answer = api.send(location, start, part, **{"Upload-Checksum": encode_checksum(part, algorithm)})
        assert answer.status_code == 204
    assert "Faultlight-Raw-File" in answer.headers


def test_a_chunk_with_a_wrong_checksum_is_discarded(api: Api) -> None:
    location = api.announce(DATA).headers["Location"]
    api.send(location, 0, DATA[:100])
    answer = api.send(location, 100, DATA[100:200], **{"Upload-Checksum": encode_checksum(b"else")})
    assert answer.status_code == 460
    assert problem(answer) == "checksum-mismatch"
    assert api.offset(location) == 100
    final = api.send(location, 100, DATA[100:])
    assert api.call("GET", f"/files/{final.headers['Faultlight-Raw-File']}").json()["sha256"] == sha256(DATA)


def test_a_chunk_that_was_never_verified_does_not_count(api: Api) -> None:
    location = api.announce(DATA).headers["Location"]
    api.send(location, 0, DATA[:100])
    upload_id = uuid.UUID(location.rsplit("/", 1)[1])
    with api.engine.begin() as connection:
        connection.execute(upload.update().values(verified_offset_bytes=100, checksum_pending=True))
    with api.state.staging.path(upload_id).open("ab") as staged:
        staged.write(b"half a chunk")
    assert api.call("GET", location).json()["offset_bytes"] == 100
    assert api.offset(location) == 100
    assert api.send(location, 100, DATA[100:]).status_code == 204


def test_a_file_that_is_not_what_was_declared_is_dropped(api: Api) -> None:
    answer = api.upload(DATA, sha256="0" * 64)
    assert answer.status_code == 460
    assert sha256(DATA) in answer.json()["detail"]
    assert (count(api, upload), count(api, raw_file), count(api, job)) == (0, 0, 0)
    assert list_staged(api) == []


@pytest.mark.parametrize(
    ("headers", "status", "name"),
    [
        ({"Tus-Resumable": "0.2.2"}, 412, "tus-version"),
        ({"Upload-Offset": "7"}, 409, "offset-conflict"),
        ({"Upload-Offset": "-1"}, 400, "invalid-upload-header"),
        ({"Upload-Offset": "9" * 40}, 400, "invalid-upload-header"),
        ({"Content-Type": "application/json"}, 415, "wrong-content-type"),
        ({"Upload-Checksum": "md5 AAAA"}, 400, "checksum-unsupported"),
        ({"Upload-Checksum": "sha256 AAAA"}, 400, "invalid-upload-header"),
        ({"Upload-Checksum": "sha256 \xff"}, 400, "invalid-upload-header"),
    ],
)
def test_a_wrong_patch_is_refused(api: Api, headers: dict[str, str], status: int, name: str) -> None:
    location = api.announce(DATA).headers["Location"]
    sent = {k: v.encode("latin-1") for k, v in {**CHUNK, "Upload-Offset": "0", **headers}.items()}
    answer = api.call("PATCH", location, content=DATA[:10], headers=sent)
    assert (answer.status_code, problem(answer)) == (status, name)
    if status == 412:
        assert answer.headers["Tus-Version"] == "1.0.0"
    assert api.offset(location) == 0


def test_more_bytes_than_announced_are_refused(api: Api) -> None:
    location = api.announce(DATA[:50]).headers["Location"]
    answer = api.send(location, 0, DATA[:51])
    assert (answer.status_code, problem(answer)) == (413, "length-exceeded")
    streamed = api.call(
        "PATCH", location, content=iter([DATA[:30], DATA[30:60]]), headers={**CHUNK, "Upload-Offset": "0"}
    )
    assert (streamed.status_code, problem(streamed)) == (413, "length-exceeded")
    assert api.offset(location) == 0


@pytest.mark.parametrize(
    ("headers", "status", "name"),
    [
        ({"Tus-Resumable": ""}, 412, "tus-version"),
        ({"Upload-Length": None}, 400, "invalid-upload-header"),
        ({"Upload-Length": None, "Upload-Defer-Length": "1"}, 400, "deferred-length"),
        ({"Upload-Length": "ten"}, 400, "invalid-upload-header"),
        ({"Upload-Length": "10737418240"}, 413, "upload-too-large"),
        ({"Upload-Length": "9" * 30}, 413, "upload-too-large"),
        ({"Upload-Metadata": None}, 400, "invalid-upload-metadata"),
        ({"Upload-Metadata": "filename !!!"}, 400, "invalid-upload-metadata"),
        ({"Upload-Metadata": "filename YQ==,filename YQ=="}, 400, "invalid-upload-metadata"),
        ({"Upload-Metadata": "filename gICA,program YWxwaGE="}, 400, "invalid-upload-metadata"),
        ({"Upload-Metadata": encode_metadata({"filename": "a"})}, 400, "invalid-upload-metadata"),
        ({"Upload-Metadata": encode_metadata({"filename": "a", "program": "nowhere"})}, 404, "not-found"),
        ({"Upload-Metadata": encode_metadata({"filename": "a", "program": "alpha", "sha256": "x"})}, 400,
         "invalid-upload-metadata"),
        ({"Upload-Metadata": encode_metadata({"filename": "a", "program": "alpha", "bundle": "x", "path": "p"})}, 400,
         "invalid-upload-metadata"),
        ({"Upload-Metadata": encode_metadata({"filename": "a", "program": "alpha", "bundle": str(uuid.uuid4()),
                                              "path": "p"})}, 404, "not-found"),
        ({"Upload-Metadata": "x " + "A" * 20000}, 400, "invalid-upload-metadata"),
    ],
)  # fmt: skip
def test_a_wrong_announcement_is_refused(api: Api, headers: dict[str, str | None], status: int, name: str) -> None:
    metadata = encode_metadata({"filename": "a", "program": "alpha"})
    sent = {**TUS, "Upload-Length": "10", "Upload-Metadata": metadata, **headers}
    answer = api.call("POST", "/uploads", headers={k: v for k, v in sent.items() if v is not None})
    assert (answer.status_code, problem(answer)) == (status, name), answer.text
    assert count(api, upload) == 0


@pytest.mark.parametrize("name", ["../a", "a/b", "a\\b", "a\x00b", "..", ".", "", "a\nb", "x" * 256])
def test_a_hostile_filename_is_refused(api: Api, name: str) -> None:
    answer = api.announce(DATA, name)
    assert (answer.status_code, problem(answer)) == (400, "invalid-upload-metadata")


@pytest.mark.parametrize("name", ["波形 №7 (µV).csv", "a'b\"c;d.csv", "%2e%2e%2f.csv", "naïve.trc"])
def test_a_filename_may_be_any_text(api: Api, name: str) -> None:
    file_id = api.upload(DATA, name).headers["Faultlight-Raw-File"]
    assert api.call("GET", f"/files/{file_id}").json()["filename"] == name
    assert api.call("GET", f"/files/{file_id}/content").status_code == 200


def test_room_is_checked_before_the_first_byte(start_api: StartApi) -> None:
    small = start_api(program_quota_bytes=100)
    small.call("POST", "/programs", json={"name": "alpha"})
    assert small.announce(b"x" * 60).status_code == 201
    over = small.announce(b"y" * 60)
    assert (over.status_code, problem(over)) == (413, "quota-exceeded")
    full = start_api(staging_reserve_bytes=1 << 60)
    answer = full.announce(b"z")
    assert (answer.status_code, problem(answer)) == (507, "insufficient-storage")
    assert int(answer.headers["Retry-After"]) > 0


def test_an_upload_can_be_terminated_until_it_is_complete(api: Api) -> None:
    location = api.announce(DATA).headers["Location"]
    api.send(location, 0, DATA[:10])
    assert api.call("DELETE", location, headers=TUS).status_code == 204
    assert api.call("HEAD", location, headers=TUS).status_code == 404
    assert list_staged(api) == []
    done = api.announce(DATA).headers["Location"]
    api.send(done, 0, DATA)
    answer = api.call("DELETE", done, headers=TUS)
    assert (answer.status_code, problem(answer)) == (409, "upload-completed")


def test_an_expired_upload_is_gone(api: Api) -> None:
    location = api.announce(DATA).headers["Location"]
    assert "GMT" in api.call("HEAD", location, headers=TUS).headers["Upload-Expires"]
    with api.engine.begin() as connection:
        connection.execute(upload.update().values(expires_at=func.now()))
    answer = api.send(location, 0, DATA)
    assert (answer.status_code, problem(answer)) == (410, "upload-gone")
    from services.api.uploads.reception import sweep_expired

    assert sweep_expired(api.state) == 1
    assert (count(api, upload), list_staged(api)) == (0, [])


def test_a_complete_upload_answers_for_ever(api: Api) -> None:
    location = api.announce(DATA).headers["Location"]
    final = api.send(location, 0, DATA)
    head = api.call("HEAD", location, headers=TUS)
    for name in ("Faultlight-Raw-File", "Faultlight-Job", "Upload-Offset"):
        assert head.headers[name] == final.headers[name]
    assert head.headers["Cache-Control"] == "no-store"
    state = api.call("GET", location).json()
    assert (state["raw_file_id"], state["offset_bytes"]) == (final.headers["Faultlight-Raw-File"], len(DATA))
    repeated = api.send(location, len(DATA), b"")
    assert repeated.headers["Faultlight-Raw-File"] == final.headers["Faultlight-Raw-File"]
    assert list_staged(api) == []


def test_creation_can_carry_the_bytes(api: Api) -> None:
    headers = {
        **CHUNK,
        "Upload-Length": "10",
        "Upload-Metadata": encode_metadata({"filename": "a", "program": "alpha"}),
    }
    partial = api.call("POST", "/uploads", content=b"12345", headers=headers)
    assert (partial.status_code, partial.headers["Upload-Offset"]) == (201, "5")
    assert api.send(partial.headers["Location"], 5, b"67890").status_code == 204
    whole = api.call("POST", "/uploads", content=b"abcdefghij", headers=headers)
    assert whole.status_code == 201
    assert "Faultlight-Raw-File" in whole.headers


def test_a_method_can_be_overridden(api: Api) -> None:
    location = api.announce(DATA).headers["Location"]
    headers = {**CHUNK, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert api.call("POST", location, content=DATA, headers=headers).status_code == 204
