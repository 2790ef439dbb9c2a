"""Bad input on its real way, upload to quarantine: a clear reason, and nobody harmed."""

import hashlib
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psutil
import pytest

from services.settings import Settings
from services.workers.runner import JobRunner
from tests.api.bad_input import ARCHIVES, NETLIST, PATTERNS, SINGLE, BadFile, make_zip, session
from tests.api.conftest import CHUNK, TUS, Api, StartApi, encode_metadata, list_staged, sha256

MEBIBYTE = 1 << 20
READER_BYTES = 768 * MEBIBYTE
READING_S = 15.0


class Worker:
    """An ingest worker on the API's database and blobs, with small limits for its readers."""

    def __init__(self, api: Api) -> None:
        self.settings = Settings(
            data_dir=api.state.settings.data_dir, read_timeout_s=READING_S, read_memory_bytes=READER_BYTES,
            read_output_bytes=256 * MEBIBYTE,
        )  # fmt: skip
        self.runner = JobRunner(self.settings, api.engine, api.state.blobs, "test", ["ingest"], lambda _due: None)

    def work(self) -> None:
        self.runner.run_waiting()


@pytest.fixture
def worker(api: Api) -> Iterator[Worker]:
    made = Worker(api)
    yield made
    made.runner.close()


class PeakMemory:
    """The largest resident size of this process and of any process below it, sampled while the block runs."""

    def __init__(self) -> None:
        self._me = psutil.Process()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.before = self.own = self._me.memory_info().rss
        self.reader = 0

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(0.02):
            self.own = max(self.own, self._me.memory_info().rss)
            for child in self._me.children(recursive=True):
                try:
                    command = child.cmdline()
                    if "instruments.sandbox" in command:
                        self.reader = max(self.reader, child.memory_info().rss)
                except psutil.Error:
                    continue


def file_of(api: Api, data: bytes) -> dict[str, Any]:
    (item,) = api.call("GET", "/files", params={"sha256": sha256(data)}).json()["items"]
    return dict(api.call("GET", f"/files/{item['id']}").json())


def check_quarantined(api: Api, bad: BadFile) -> None:
    row = file_of(api, bad.data)
    assert row["state"] == "quarantined", bad.name
    told = [reason["reason"] for reason in row["quarantine_reasons"]]
    assert told, bad.name
    assert all(told), bad.name
    assert any(re.search(bad.reason, text) for text in told), (bad.name, told)
    assert not any("Traceback" in text or str(api.state.settings.data_dir) in text for text in told), told
    content = api.call("GET", f"/files/{row['id']}/content").content
    assert hashlib.sha256(content).hexdigest() == sha256(bad.data)
    (job,) = api.call("GET", "/jobs", params={"raw_file": row["id"]}).json()["items"]
    assert (job["state"], job["attempts"]) == ("succeeded", 1), (bad.name, job["error"])


@pytest.mark.parametrize("kind", ["archives", "single"])
def test_bad_files_are_quarantined_with_a_reason(api: Api, worker: Worker, kind: str) -> None:
    """One worker meets every bad file in turn, with good files in between."""
    bad_files = ARCHIVES if kind == "archives" else SINGLE
    with PeakMemory() as peak:
        for bad in bad_files:
            assert api.upload(bad.data, bad.name).status_code == 204, bad.name
            worker.work()
            check_quarantined(api, bad)
            assert not list(worker.settings.scratch().glob("ingest-*")), bad.name
        good = NETLIST + b"# still alive\n"
        api.upload(good, "good.bench")
        worker.work()
    assert file_of(api, good)["state"] == "stored"
    assert peak.own - peak.before < 250 * MEBIBYTE
    assert peak.reader < READER_BYTES + 256 * MEBIBYTE
    assert list_staged(api) == []
    assert not any(Path(place).exists() for place in ("/tmp/evil", "/evil"))
    assert not list(api.state.settings.data_dir.rglob("evil*"))


def test_real_files_that_are_cut_are_quarantined(api: Api, worker: Worker, shared_data: Path) -> None:
    cuts = []
    for path in ("lecroy_trc/lecroy_1.trc", "fst/nvc__manytypes2.fst", "vcd/icarus__counter_tb.vcd"):
        data = (shared_data / "formats" / path).read_bytes()
        name = Path(path).name
        cuts += [BadFile(name, data[:length], ".") for length in (11, len(data) // 3, len(data) - 1)]
    for bad in cuts:
        api.upload(bad.data, bad.name)
    worker.work()
    for bad in cuts:
        row = file_of(api, bad.data)
        if bad.name.endswith(".vcd") and row["state"] == "stored":
            assert row["quarantine_reasons"] is None
            continue
        check_quarantined(api, bad)


def test_a_header_that_claims_gigabytes_is_quarantined(api: Api, worker: Worker, shared_data: Path) -> None:
    """A few bytes whose header claims two thousand million samples."""
    data = bytearray((shared_data / "formats/lecroy_trc/lecroy_1.trc").read_bytes())
    start = data.index(b"WAVEDESC")
    for offset in (60, 116):
        data[start + offset : start + offset + 4] = (2_000_000_000).to_bytes(4, "little")
    bad = BadFile("claims.trc", bytes(data), "2000000000|2,000,000,000|bytes|ends")
    api.upload(bad.data, bad.name)
    with PeakMemory() as peak:
        worker.work()
    check_quarantined(api, bad)
    assert peak.reader < READER_BYTES


def test_a_length_that_is_claimed_takes_no_room(start_api: StartApi) -> None:
    """Ten gigabytes announced, few bytes sent: nothing is allocated, the rest is awaited, the end is not faked."""
    ten = 10_000_000_000
    api = start_api(upload_max_bytes=1 << 40, program_quota_bytes=1 << 40)
    api.call("POST", "/programs", json={"name": "alpha"})
    headers = {
        **TUS,
        "Upload-Length": str(ten),
        "Upload-Metadata": encode_metadata({"filename": "a", "program": "alpha"}),
    }
    free = shutil.disk_usage(api.state.staging.folder).free
    answer = api.call("POST", "/uploads", headers=headers)
    if free > ten + api.state.settings.staging_reserve_bytes:
        assert answer.status_code == 201
        location = answer.headers["Location"]
        assert api.send(location, 0, b"few bytes").status_code == 204
        assert api.offset(location) == 9
        (staged,) = api.state.staging.folder.glob("*.part")
        assert staged.stat().st_blocks * 512 < MEBIBYTE
        second = api.call("POST", "/uploads", headers=headers | {"Upload-Length": str(free)})
        assert (second.status_code, second.json()["type"]) == (507, "/problems/insufficient-storage")
    else:
        assert (answer.status_code, answer.json()["type"]) == (507, "/problems/insufficient-storage")
    refused = start_api(upload_max_bytes=1 << 30).call("POST", "/uploads", headers=headers)
    assert (refused.status_code, refused.json()["type"]) == (413, "/problems/upload-too-large")


NAMES = [
    "messung µ 图像 🔬.bench",
    "cafe\u0301.bench",
    "\u202egnp.bench",
    "\u05e9\u05dc\u05d5\u05dd.bench",
    "a" * 248 + ".bench",
    "..bench",
    "-rf $(reboot);'\"`.bench",
    "%2e%2e%2fx.bench",
    "CON.bench",
    " leading and trailing .bench ",
]


def test_odd_names_are_kept_and_harm_nobody(api: Api, worker: Worker) -> None:
    import unicodedata

    for index, name in enumerate(NAMES):
        data = NETLIST + f"# {index}\n".encode()
        answer = api.upload(data, name)
        assert answer.status_code == 204, (name, answer.text)
    worker.work()
    for index, name in enumerate(NAMES):
        row = file_of(api, NETLIST + f"# {index}\n".encode())
        assert (row["state"], row["filename"]) == ("stored", unicodedata.normalize("NFC", name))
        header = api.call("GET", f"/files/{row['id']}/content").headers["Content-Disposition"]
        assert unquote(header.partition("UTF-8''")[2]) == row["filename"]


@pytest.mark.parametrize("name", ["a" * 300, "a\x07b", "a\nb", "a/b", "a\\b", "..", "", "\x1b[31m", "a\x85b"])
def test_names_that_no_system_agrees_on_are_refused(api: Api, name: str) -> None:
    answer = api.announce(b"x", name)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-upload-metadata")


def declare(api: Api, files: dict[str, bytes]) -> Any:
    members = [{"path": path, "sha256": sha256(data), "size_bytes": len(data)} for path, data in files.items()]
    return api.call("POST", "/bundles", json={"program": "alpha", "name": "b", "members": members})


@pytest.mark.parametrize(
    "path",
    ["../evil", "/etc/passwd", "C:/x", "a\\b", "a//b", "a/./b", "a/..", "a\x00b", "a\nb", "", "a/", "é" * 130 + "/x",
     "x" * 256, "/".join(["é" * 100] * 11)],
)  # fmt: skip
def test_paths_that_leave_a_bundle_are_refused(api: Api, path: str) -> None:
    answer = declare(api, {path: b"x"})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_bundle_with_long_and_odd_paths_is_read(api: Api, worker: Worker) -> None:
    """The longest names that are accepted can be laid out on the worker's disk."""
    deep = "/".join(["é" * 127] * 7) + "/n.bench"
    files = {"session.json": session(netlist=deep), deep: NETLIST, "\u202eodd 🔬": b"not named"}
    bundle = declare(api, files)
    assert bundle.status_code == 201, bundle.text
    for path, data in files.items():
        answer = api.announce(data, "x", bundle=bundle.json()["id"], path=path)
        assert answer.status_code == 201, answer.text
        assert api.send(answer.headers["Location"], 0, data).status_code == 204
    worker.work()
    (job,) = api.call("GET", "/jobs", params={"bundle": bundle.json()["id"]}).json()["items"]
    assert (job["state"], job["attempts"]) == ("succeeded", 1), job["error"]
    told = file_of(api, NETLIST)["quarantine_reasons"]
    assert any("names p.csv, which is not in the bundle" in reason["reason"] for reason in told), told


def test_a_reader_that_never_ends_is_ended(api: Api, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time runs out for the reader; the worker goes on with the next file."""
    from instruments.sandbox import Sandbox, SandboxLimits
    from services.pipelines.ingestion import ingest

    slow = Sandbox(SandboxLimits(wall_s=0.05, memory_bytes=READER_BYTES))
    data = NETLIST + b"".join(f"y{i} = NAND(a, b)\n".encode() for i in range(200_000))
    api.upload(data, "slow.bench")
    with monkeypatch.context() as patched:
        patched.setattr(ingest, "open_reader", lambda _settings: slow.read)
        worker.work()
    slow.close()
    check_quarantined(api, BadFile("slow.bench", data, "longer than 0.05 s"))
    after = NETLIST + b"# next\n"
    api.upload(after, "next.bench")
    worker.work()
    assert file_of(api, after)["state"] == "stored"


def test_a_reading_is_cancelled_while_it_goes_on(api: Api, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelling does not wait for the reader."""
    from instruments import sandbox
    from services.pipelines.ingestion import ingest

    data = NETLIST + b"".join(f"w{i} = NAND(a, b)\n".encode() for i in range(500_000))
    received = api.upload(data, "large.bench")
    job = received.headers["Faultlight-Job"]
    reader = sandbox.Sandbox(sandbox.SandboxLimits(wall_s=120, memory_bytes=4 << 30))
    begun = threading.Event()

    def read(*arguments: Any, watch: Any) -> Any:
        def look() -> None:
            begun.set()
            watch()

        return reader.read(*arguments, watch=look)

    monkeypatch.setattr(ingest, "open_reader", lambda _settings: read)
    thread = threading.Thread(target=worker.work)
    thread.start()
    assert begun.wait(30)
    started = time.monotonic()
    assert api.call("POST", f"/jobs/{job}/cancel").status_code == 202
    thread.join(60)
    assert not thread.is_alive()
    assert api.call("GET", f"/jobs/{job}").json()["state"] == "cancelled"
    assert time.monotonic() - started < 15
    assert not [child for child in psutil.Process().children(recursive=True) if child.pid == reader_pid(reader)]
    assert not list(worker.settings.scratch().glob("ingest-*"))
    reader.close()


def reader_pid(reader: Any) -> int | None:
    return reader._server.pid if reader._server is not None else None


def test_bad_bodies_are_told_as_problems(api: Api) -> None:
    bodies = [
        b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"[" * 100_000, b'{"name": ' * 50_000,
        b'{"name": "\\ud800"}', b'{"name": "a\\u0000b"}', b'{"name": 1e400}', b'{"name": ' + b"9" * 10_000 + b"}",
        b'{"name": "x", "name2": "y"}', b'{"name": "' + b"x" * 300 + b'"}', b"name=x",
    ]  # fmt: skip
    for body in bodies:
        for kind in ("application/json", "text/plain", "multipart/form-data", "application/x-www-form-urlencoded"):
            answer = api.call("POST", "/programs", content=body, headers={"Content-Type": kind})
            assert answer.status_code in {415, 422}, (body[:40], kind, answer.status_code, answer.text[:200])
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == answer.status_code
    lied = api.call("PATCH", "/uploads/" + "0" * 32, content=b"", headers={**CHUNK, "Upload-Offset": "9" * 30})
    assert lied.status_code == 404


def test_a_good_session_is_read(api: Api, worker: Worker, shared_data: Path) -> None:
    """The limits above let through what is right: an archive with one top folder."""
    trace = (shared_data / "formats/lecroy_trc/lecroy_3.trc").read_bytes()
    files = {"session.json": session(), "n.bench": NETLIST, "p.csv": PATTERNS, "w.trc": trace}
    data = make_zip((f"S/{name}", content) for name, content in files.items())
    api.upload(data, "session.zip")
    worker.work()
    assert file_of(api, data)["state"] == "stored"
    sessions = api.call("GET", "/probing-sessions").json()["items"]
    assert [item["name"] for item in sessions] == ["S"]
