"""The client against the real API, with everything that can happen on the way."""

import os
import unicodedata
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from db.repositories.uploads import remove
from db.schema.files import upload
from services.uploader.errors import BadInput, Blocked, FileChanged, Refused, ServiceUnreachable
from services.uploader.transfer import ChunkSize, UnfinishedHere
from tests.api.conftest import StartApi, list_staged, sha256
from tests.uploader.conftest import PROGRAM, URL, Bench, answer, make_bench

DATA = os.urandom(10 << 20)  # three chunks
Deliver = Callable[[], httpx.Response]


def test_a_file_arrives_and_is_known_from_then_on(bench: Bench) -> None:
    path = bench.write("scope.trc", DATA)
    with bench.client() as client:
        first = client.upload_file(path, PROGRAM)
        assert (first.known, first.sent_bytes, first.sha256, first.name) == (
            False,
            len(DATA),
            sha256(DATA),
            "scope.trc",
        )
        assert bench.api.call("GET", f"/files/{first.raw_file_id}/content").content == DATA
        assert bench.api.call("GET", f"/jobs/{first.job_id}").json()["kind"] == "ingest"
        sent = bench.wire.body_bytes
        again = client.upload_file(bench.write("copy.trc", DATA), PROGRAM)
    assert (again.known, again.sent_bytes, again.raw_file_id) == (True, 0, first.raw_file_id)
    assert again.job_id == first.job_id
    assert bench.wire.body_bytes == sent == len(DATA)
    assert bench.time.slept == []


def test_an_empty_file_is_a_file(bench: Bench) -> None:
    with bench.client() as client:
        outcome = client.upload_file(bench.write("empty.csv", b""), PROGRAM)
        assert client.upload_file(bench.write("empty.csv", b""), PROGRAM).known
    assert bench.api.call("GET", f"/files/{outcome.raw_file_id}").json()["size_bytes"] == 0


def test_a_bundle_sends_only_what_is_missing(bench: Bench) -> None:
    decomposed = unicodedata.normalize("NFD", "Ätzung.csv")
    for name, data in {"a.csv": b"1", "deep/er/b.csv": b"22", decomposed: b"333", "same.csv": b"1"}.items():
        bench.write(f"session/{name}", data)
    bench.write("session/~lock.tmp", b"not data")
    with bench.client() as client:
        client.upload_file(bench.folder / "session" / "a.csv", PROGRAM)
        sent = bench.wire.body_bytes
        outcome = client.upload_bundle(bench.folder / "session", PROGRAM)
        again = client.upload_bundle(bench.folder / "session", PROGRAM)
    assert bench.wire.body_bytes - sent == outcome.sent_bytes == 5
    stored = bench.api.call("GET", f"/bundles/{outcome.bundle_id}").json()
    assert [member["path"] for member in stored["members"]] == ["a.csv", "deep/er/b.csv", "same.csv", "Ätzung.csv"]
    assert stored["missing"] == []
    assert stored["content_sha256"] == outcome.sha256
    assert outcome.job_id == stored["job_id"] is not None
    assert (again.known, again.bundle_id, again.job_id) == (True, outcome.bundle_id, outcome.job_id)


def test_a_bundle_holds_no_links(bench: Bench) -> None:
    bench.write("session/a.csv", b"1")
    (bench.folder / "session" / "b.csv").symlink_to(bench.folder / "session" / "a.csv")
    with bench.client() as client, pytest.raises(BadInput, match="is a link"):
        client.upload_bundle(bench.folder / "session", PROGRAM)
    assert bench.wire.seen == []


@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_any_request_or_its_answer_can_be_lost(bench: Bench, method: str, when: str) -> None:
    lost: list[str] = []

    def lose(request: httpx.Request, deliver: Deliver) -> httpx.Response:
        if request.method == "PATCH" and not lost and method == "HEAD":
            raise httpx.ConnectError("so that HEAD is asked")
        if request.method != method or lost.count(method) >= 3:
            return deliver()
        lost.append(method)
        if when == "after":
            deliver()
        raise httpx.ReadError("cut")

    bench.wire.act = lose
    with bench.client(tries=6) as client:
        outcome = client.upload_file(bench.write("a.bin", DATA), PROGRAM)
    assert lost
    assert bench.api.call("GET", f"/files/{outcome.raw_file_id}/content").content == DATA
    assert len(bench.stored()) == 1


def test_another_process_goes_on_where_the_first_one_died(bench: Bench) -> None:
    path = bench.write("a.bin", DATA)
    unfinished = UnfinishedHere()

    def die(request: httpx.Request, deliver: Deliver) -> httpx.Response:
        if bench.wire.seen.count("PATCH") == 2:
            raise KeyboardInterrupt
        return deliver()

    bench.wire.act = die
    with bench.client(unfinished=unfinished) as client, pytest.raises(KeyboardInterrupt):
        client.upload_file(path, PROGRAM)
    arrived = bench.wire.body_bytes
    assert 0 < arrived < len(DATA)
    bench.wire.act = None
    with bench.client(unfinished=unfinished) as client:
        outcome = client.upload_file(path, PROGRAM)
    assert outcome.sent_bytes == len(DATA) - arrived
    assert bench.wire.seen.count("POST") == 1
    assert bench.api.call("GET", f"/files/{outcome.raw_file_id}/content").content == DATA


def test_a_chunk_damaged_on_the_way_is_sent_again(bench: Bench) -> None:
    statuses: list[int] = []

    def damage(request: httpx.Request, deliver: Deliver) -> httpx.Response:
        if request.method == "PATCH" and not statuses:
            data = bytearray(request.read())
            data[1000] ^= 1
            damaged = httpx.Request(request.method, request.url, headers=request.headers, content=bytes(data))
            given = bench.wire.inner.handle_request(damaged)
        else:
            given = deliver()
        statuses.append(given.status_code) if request.method == "PATCH" else None
        return given

    bench.wire.act = damage
    with bench.client() as client:
        outcome = client.upload_file(bench.write("a.bin", DATA), PROGRAM)
    assert statuses[0] == 460
    assert bench.api.call("GET", f"/files/{outcome.raw_file_id}/content").content == DATA


def expire(bench: Bench) -> None:
    with bench.api.engine.begin() as connection:
        connection.execute(update(upload).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))


def drop(bench: Bench) -> None:
    upload_id = list_staged(bench.api)[0].split(".")[0]
    with bench.api.engine.begin() as connection:
        remove(connection, uuid.UUID(upload_id))


@pytest.mark.parametrize("spoil", [expire, drop])
def test_an_upload_that_the_service_dropped_is_begun_anew(bench: Bench, spoil: Callable[[Bench], None]) -> None:
    def act(request: httpx.Request, deliver: Deliver) -> httpx.Response:
        given = deliver()
        if bench.wire.seen.count("PATCH") == 1 and request.method == "PATCH":
            spoil(bench)
        return given

    bench.wire.act = act
    with bench.client() as client:
        outcome = client.upload_file(bench.write("a.bin", DATA), PROGRAM)
    assert bench.wire.seen.count("POST") == 2
    assert bench.api.call("GET", f"/files/{outcome.raw_file_id}/content").content == DATA


def test_a_service_that_always_drops_the_upload_is_given_up(bench: Bench) -> None:
    def act(request: httpx.Request, deliver: Deliver) -> httpx.Response:
        return answer(410, problem="upload-gone") if request.method == "PATCH" else deliver()

    bench.wire.act = act
    with bench.client() as client, pytest.raises(ServiceUnreachable, match="dropped the upload 4 times"):
        client.upload_file(bench.write("a.bin", DATA), PROGRAM)


def test_a_file_that_grows_while_it_is_sent_is_reported_and_leaves_nothing(bench: Bench) -> None:
    path = bench.write("a.bin", DATA)

    def act(request: httpx.Request, deliver: Deliver) -> httpx.Response:
        if request.method == "PATCH":
            with path.open("ab") as file:
                file.write(b"more")
        return deliver()

    bench.wire.act = act
    with bench.client() as client, pytest.raises(FileChanged, match=f"expected {len(DATA)} bytes"):
        client.upload_file(path, PROGRAM)
    assert bench.stored() == {}
    assert bench.open_uploads() == 0
    assert list_staged(bench.api) == []


def test_bytes_that_change_under_the_same_time_are_found_by_their_hash(bench: Bench) -> None:
    path = bench.write("a.bin", DATA)
    status = path.stat()

    def act(request: httpx.Request, deliver: Deliver) -> httpx.Response:
        if request.method == "POST":
            with path.open("r+b") as file:
                file.write(b"0" * 100)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        return deliver()

    bench.wire.act = act
    with bench.client() as client, pytest.raises(FileChanged, match="expected sha256"):
        client.upload_file(path, PROGRAM)
    assert bench.stored() == {}


def test_a_file_that_is_replaced_while_it_is_hashed_is_reported(bench: Bench) -> None:
    path = bench.write("a.bin", DATA)
    other = bench.write("b.bin", DATA[::-1])

    class Replacing(type(bench.client()._observer)):  # type: ignore[misc]
        def hashing(self, name: str, done: int, total: int) -> None:
            if other.exists():
                other.replace(path)

    with bench.client(observer=Replacing()) as client, pytest.raises(FileChanged):
        client.upload_file(path, PROGRAM)
    assert bench.wire.seen == []


@pytest.mark.parametrize("status", [429, 503])
def test_the_client_waits_as_long_as_the_service_asks(bench: Bench, status: int) -> None:
    kinds = {
        "seconds": {"Retry-After": "17"},
        "date": {"Retry-After": "Tue, 24 Nov 2026 10:01:00 GMT", "Date": "Tue, 24 Nov 2026 10:00:00 GMT"},
    }
    given = [answer(status, headers, "too-many-requests") for headers in kinds.values()]
    bench.wire.act = lambda request, deliver: given.pop(0) if given else deliver()
    with bench.client() as client:
        client.upload_file(bench.write("a.bin", b"1"), PROGRAM)
    assert bench.time.slept == [17 + 0.125, 60 + 0.25]


def test_a_silent_service_is_given_up_after_so_many_tries(bench: Bench) -> None:
    def refuse(request: httpx.Request, deliver: Deliver) -> httpx.Response:
        raise httpx.ConnectError("nobody there")

    bench.wire.act = refuse
    with bench.client(tries=5) as client, pytest.raises(ServiceUnreachable, match=r"nobody there \(tried 5 times\)"):
        client.upload_file(bench.write("a.bin", b"1"), PROGRAM)
    assert bench.time.slept == [0.125, 0.25, 0.5, 1.0]


@pytest.mark.parametrize(
    "given",
    [
        httpx.Response(302, headers={"Location": "https://elsewhere.example/login"}),
        httpx.Response(403, text="<html>proxy</html>"),
        httpx.Response(404, text="not here"),
        httpx.Response(200, text="<html>welcome to the portal</html>"),
        httpx.Response(200, json=[1]),
        httpx.Response(201, headers={"Upload-Offset": "0"}),
        httpx.Response(201, headers={"Location": "/x/1", "Upload-Offset": "-1"}),
        httpx.Response(204),
    ],
)
def test_an_answer_that_is_not_the_services_is_never_believed(bench: Bench, given: httpx.Response) -> None:
    bench.wire.act = lambda request, deliver: given if request.method == "POST" else deliver()
    with bench.client(tries=2) as client, pytest.raises(ServiceUnreachable):
        client.upload_file(bench.write("a.bin", b"1"), PROGRAM)
    assert bench.stored() == {}


def test_the_key_goes_only_to_the_configured_address(bench: Bench) -> None:
    def act(request: httpx.Request, deliver: Deliver) -> httpx.Response:
        assert (request.url.host, request.url.scheme) == ("testserver", "http")
        given = deliver()
        if request.method == "POST":
            given.headers["Location"] = "https://elsewhere.example" + given.headers["Location"]
        return given

    bench.wire.act = act
    with bench.client() as client:
        client.upload_file(bench.write("a.bin", b"1"), PROGRAM)


def test_a_refusal_is_final(start_api: StartApi, tmp_path: Path) -> None:
    bench = make_bench(start_api(upload_max_bytes=100), tmp_path)
    bench.api.call("POST", "/programs", json={"name": PROGRAM})
    with bench.client() as client, pytest.raises(Refused, match="at most 100 bytes") as caught:
        client.upload_file(bench.write("a.bin", b"1" * 101), PROGRAM)
    assert (caught.value.status, caught.value.name) == (413, "upload-too-large")
    assert bench.wire.seen == ["POST"]


def test_what_is_wrong_with_the_key_the_program_or_the_quota_is_not_the_files_fault(
    start_api: StartApi, tmp_path: Path
) -> None:
    bench = make_bench(start_api(program_quota_bytes=10), tmp_path)
    bench.api.call("POST", "/programs", json={"name": PROGRAM})
    path = bench.write("a.bin", b"1" * 11)
    with bench.client() as client:
        with pytest.raises(Blocked, match="quota-exceeded"):
            client.upload_file(path, PROGRAM)
        with pytest.raises(Blocked, match="not-found"):
            client.upload_file(path, "no such program")
        with pytest.raises(Blocked, match="not-found"):
            client.upload_bundle(bench.folder, "no such program")
        with pytest.raises(Blocked, match="program is missing"):
            client.upload_file(path)
        with pytest.raises(Blocked, match="program is missing"):
            client.upload_bundle(bench.folder)
    bench.key = "fl_wrong"
    with bench.client() as client, pytest.raises(Blocked, match="unauthenticated"):
        client.upload_file(path, PROGRAM)
    assert bench.time.slept == []


def test_hostile_names_arrive_or_are_refused(bench: Bench) -> None:
    with bench.client() as client:
        latin = Path(os.fsdecode(os.fsencode(bench.folder) + b"/K\xfchlung.csv"))
        latin.write_bytes(b"1")
        assert client.upload_file(latin, PROGRAM).name == "K�hlung.csv"
        assert client.upload_file(bench.write("波形 ☃.csv", b"2"), PROGRAM).name == "波形 ☃.csv"
        with pytest.raises(Refused, match="invalid-upload-metadata"):
            client.upload_file(bench.write("tab\there.csv", b"3"), PROGRAM)
    assert {name for name, _ in bench.stored().values()} == {"K�hlung.csv", "波形 ☃.csv"}


@pytest.mark.parametrize("name", ["missing.bin", "."])
def test_what_is_no_file_is_bad_input(bench: Bench, name: str) -> None:
    with bench.client() as client, pytest.raises(BadInput):
        client.upload_file(bench.folder / name, PROGRAM)


@pytest.mark.parametrize("url", ["ftp://host", "host:8460", "http://", "http://user:secret@host", "http://h/?a=1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    from services.uploader.client import UploadClient

    with pytest.raises(ValueError, match="address"):
        UploadClient(url, "fl_x")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://far.example"])
def test_no_proxy_stands_between_this_machine_and_itself(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    from services.uploader.client import UploadClient

    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://proxy.example:3128")
    with UploadClient(url, "fl_x") as client:
        assert client._exchange._client.trust_env is url.startswith("https://far")


def test_chunks_grow_on_a_quick_line_and_shrink_on_a_bad_one() -> None:
    chunk = ChunkSize()
    for _ in range(10):
        chunk.arrived(0.1)
    assert chunk.value == ChunkSize.largest
    chunk.arrived(5.0)
    assert chunk.value == ChunkSize.largest
    chunk.arrived(30.0)
    assert chunk.value == ChunkSize.largest // 2
    for _ in range(10):
        chunk.cut()
    assert chunk.value == ChunkSize.smallest


def test_the_service_and_the_key_can_be_asked_for(bench: Bench) -> None:
    assert URL == "http://testserver"
    with bench.client() as client:
        client.check_ready()
        client.check_key()
    bench.key = "fl_wrong"
    with bench.client() as client, pytest.raises(Blocked):
        client.check_key()
