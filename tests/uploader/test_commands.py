"""The commands as a person or a script meets them: exit codes, lines, and JSON on stdout and nothing else."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result
from typer.testing import CliRunner

from services.cli import app
from services.uploader import commands
from services.uploader.client import UploadClient
from services.uploader.configuration import journal_path, read_key, sends_key_in_clear, state_folder
from services.uploader.journal import only_one
from services.uploader.transfer import Timing
from tests.api.conftest import StartApi, sha256
from tests.uploader.conftest import HALF, PROGRAM, URL, Bench, answer, make_bench

Run = Callable[..., Result]
SESSION = {"netlist": "c17.bench", "waveforms": [{"file": "p1.csv"}]}


def make_run(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    def open_client(url: str, key: str, **rest: Any) -> UploadClient:
        rest["timing"] = Timing(tries=2, backoff=HALF, sleep=bench.time.sleep)
        return UploadClient(url, key, transport=bench.wire, **rest)

    for name in ("FAULTLIGHT_KEY_FILE", "FAULTLIGHT_PROGRAM", "FAULTLIGHT_JOURNAL", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FAULTLIGHT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("FAULTLIGHT_KEY", bench.key)
    monkeypatch.setenv("FAULTLIGHT_URL", URL)
    monkeypatch.setattr(commands, "open_client", open_client)
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, [str(each) for each in arguments])


@pytest.fixture
def run(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs ``faultlight`` against the bench's API."""
    return make_run(bench, tmp_path, monkeypatch)


def lines(result: Result) -> list[dict[str, Any]]:
    """Every line of stdout as JSON; fails when one is not."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def nobody(request: httpx.Request, deliver: object) -> httpx.Response:
    raise httpx.ConnectError("nobody there")


def test_upload_sends_files_and_sessions(bench: Bench, run: Run) -> None:
    bench.write("a.trc", b"1")
    bench.write("sub/b.trc", b"2")
    bench.write("sub/.hidden", b"3")
    bench.write("s1/session.json", json.dumps(SESSION).encode())
    bench.write("s1/deep/session.json", b"{}")
    bench.write("s1/c17.bench", b"4")
    bench.write("s1/p1.csv", b"5")
    result = run("upload", bench.folder, "--program", PROGRAM, "--json")
    assert result.exit_code == 0, result.output
    found = {Path(line["path"]).name: line for line in lines(result)}
    assert set(found) == {"s1", "a.trc", "b.trc"}
    assert found["s1"]["bundle_id"]
    assert found["s1"]["raw_file_id"] is None
    assert not found["a.trc"]["known"]
    assert found["a.trc"]["sha256"] == sha256(b"1")
    assert result.stderr == f"warning: the key crosses the network unencrypted to {URL}\n"
    again = run("upload", bench.folder, "--program", PROGRAM, "--json")
    assert all(line["known"] and line["sent_bytes"] == 0 for line in lines(again))
    assert len(bench.stored()) == 6


def test_upload_sends_any_folder_as_a_bundle_when_told(bench: Bench, run: Run) -> None:
    bench.write("f/a.csv", b"1")
    bench.write("f/deep/b.csv", b"2")
    result = run("upload", bench.folder / "f", "--bundle", "--program", PROGRAM)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{bench.folder / 'f'}: sent 2 bytes; bundle ")


def test_upload_without_the_service_exits_with_1(bench: Bench, run: Run) -> None:
    bench.wire.act = nobody
    path = bench.write("a.trc", b"1")
    other = bench.write("b.trc", b"2")
    result = run("upload", path, other, "--program", PROGRAM, "--json")
    assert result.exit_code == 1
    (line,) = lines(result)
    assert line["error"]["type"] == "ServiceUnreachable"
    plain = run("upload", path, "--program", PROGRAM)
    assert (plain.exit_code, plain.stdout) == (1, "")
    assert "nobody there" in plain.stderr


def test_upload_tells_what_is_refused_and_sends_the_rest(
    start_api: StartApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(start_api(upload_max_bytes=10), tmp_path)
    bench.api.call("POST", "/programs", json={"name": PROGRAM})
    run = make_run(bench, tmp_path, monkeypatch)
    large = bench.write("large", b"1" * 11)
    small = bench.write("small", b"2")
    result = run("upload", large, small, bench.folder / "missing", "--program", PROGRAM, "--json")
    assert result.exit_code == 2
    refused, sent, missing = lines(result)
    assert refused["error"]["problem"] == "upload-too-large"
    assert sent["raw_file_id"]
    assert missing["error"]["type"] == "BadInput"
    assert set(bench.stored()) == {sha256(b"2")}


def test_upload_with_a_wrong_key_asks_once(bench: Bench, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTLIGHT_KEY", "fl_wrong")
    paths = [bench.write(name, b"1") for name in "abc"]
    result = run("upload", *paths, "--program", PROGRAM)
    assert result.exit_code == 2
    assert "unauthenticated" in result.stderr
    assert len(bench.wire.seen) == 1


@pytest.mark.parametrize("kind", ["link", "empty", "incomplete"])
def test_upload_refuses_folders_that_it_cannot_send_whole(bench: Bench, run: Run, kind: str) -> None:
    folder = bench.folder / "f"
    folder.mkdir()
    if kind == "link":
        bench.write("f/a.csv", b"1")
        (folder / "b.csv").symlink_to(folder / "a.csv")
    elif kind == "incomplete":
        bench.write("f/session.json", json.dumps(SESSION).encode())
    result = run("upload", folder, "--program", PROGRAM)
    assert result.exit_code == 2
    expected = {"link": "is a link", "empty": "holds no file", "incomplete": "names files that are not there"}
    assert expected[kind] in result.stderr


def test_upload_goes_on_where_a_killed_one_was(bench: Bench, run: Run) -> None:
    data = os.urandom(10 << 20)
    path = bench.write("a.bin", data)

    def act(request: httpx.Request, deliver: Callable[[], httpx.Response]) -> httpx.Response:
        if bench.wire.seen.count("PATCH") == 2:
            raise KeyboardInterrupt
        return deliver()

    bench.wire.act = act
    first = run("upload", path, "--program", PROGRAM)
    assert first.exit_code == 130
    bench.wire.act = None
    (line,) = lines(run("upload", path, "--program", PROGRAM, "--json"))
    assert 0 < line["sent_bytes"] < len(data)
    assert bench.wire.seen.count("POST") == 1
    assert set(bench.stored()) == {sha256(data)}


@pytest.mark.parametrize("command", ["upload", "watch"])
def test_without_a_key_or_an_address_nothing_begins(
    bench: Bench, run: Run, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run(command, bench.folder, "--url", "ftp://host")
    assert (result.exit_code, "no address of a service" in result.stderr) == (2, True)
    monkeypatch.delenv("FAULTLIGHT_KEY")
    result = run(command, bench.folder)
    assert (result.exit_code, "FAULTLIGHT_KEY_FILE" in result.stderr) == (2, True)
    assert bench.wire.seen == []


def test_watch_once_drains_and_status_tells(bench: Bench, run: Run) -> None:
    bench.write("a.trc", b"1")
    bench.write("s/session.json", json.dumps(SESSION).encode())
    result = run("watch", bench.folder, "--once", "--settle", "0", "--program", PROGRAM, "--json")
    assert result.exit_code == 2
    events = lines(result)
    assert [event["event"] for event in events] == ["watching", "seen", "seen", "sent", "waiting"]
    assert all(event["at"].endswith("Z") for event in events)
    told = run("status", "--json")
    assert told.exit_code == 0
    (document,) = lines(told)
    assert document["service"] == {"url": URL, "reachable": True, "reason": None, "key": "accepted"}
    (journal,) = document["journals"]
    assert (journal["folder"], journal["waiting"], journal["sent"]) == (str(bench.folder.resolve()), 1, 1)
    assert journal["waiting_reasons"] == {"session.json names files that are not there: c17.bench, p1.csv": 1}
    plain = run("status")
    assert f"{bench.folder.resolve()}: 1 waiting, 1 sent, 0 refused" in plain.stdout
    assert "oldest waiting: s" in plain.stdout


def test_watch_once_without_the_service_exits_with_1_and_keeps_everything(bench: Bench, run: Run) -> None:
    bench.wire.act = nobody
    bench.write("a.trc", b"1")
    assert run("watch", bench.folder, "--once", "--settle", "0", "--program", PROGRAM).exit_code == 1
    told = run("status", "--json")
    assert told.exit_code == 1
    (document,) = lines(told)
    assert document["service"]["reachable"] is False
    assert "nobody there" in document["journals"][0]["trouble"]
    bench.wire.act = None
    assert run("watch", bench.folder, "--once", "--settle", "0", "--program", PROGRAM).exit_code == 0
    assert set(bench.stored()) == {sha256(b"1")}


def test_status_tells_about_the_key_and_damaged_journals(
    bench: Bench, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "watch-0.sqlite").write_bytes(b"no database" * 1000)
    monkeypatch.setenv("FAULTLIGHT_KEY", "fl_wrong")
    (document,) = lines(run("status", "--json"))
    assert document["service"]["key"] == "not accepted"
    assert list(document["unreadable_journals"].values()) == ["file is not a database"]
    monkeypatch.delenv("FAULTLIGHT_KEY")
    (document,) = lines(run("status", "--json"))
    assert document["service"]["key"] == "none"
    bench.wire.act = lambda request, deliver: answer(503, problem="unavailable")
    assert run("status").exit_code == 1


def test_watch_never_writes_into_the_folder_and_is_alone(bench: Bench, run: Run, tmp_path: Path) -> None:
    inside = run("watch", bench.folder, "--once", "--journal", bench.folder / "j.sqlite")
    assert (inside.exit_code, list(bench.folder.iterdir())) == (2, [])
    assert run("watch", tmp_path / "missing", "--once").exit_code == 2
    with only_one(journal_path(bench.folder)):
        busy = run("watch", bench.folder, "--once")
    assert (busy.exit_code, "another process uses" in busy.stderr) == (2, True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_watch_ends_in_order_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "instrument"
    folder.mkdir()
    environment = {**os.environ, "FAULTLIGHT_KEY": "fl_x", "FAULTLIGHT_STATE_DIR": str(tmp_path / "state")}
    command = [sys.executable, "-m", "services.cli", "watch", str(folder), "--json", "--url", "http://127.0.0.1:9"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "watching"
        process.send_signal(number)
        rest = [json.loads(line)["event"] for line in process.stdout]
        assert process.wait(30) == 0
    assert rest == ["stopped"]


def test_the_key_comes_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAULTLIGHT_KEY", raising=False)
    monkeypatch.setenv("FAULTLIGHT_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(ValueError, match="cannot be read"):
        read_key()
    (tmp_path / "key").write_bytes(b"\xef\xbb\xbf \n")
    with pytest.raises(ValueError, match="is empty"):
        read_key()
    (tmp_path / "key").write_bytes(b"\xef\xbb\xbffl_file\r\n")
    assert read_key() == "fl_file"
    monkeypatch.setenv("FAULTLIGHT_KEY", "fl_environment\n")
    assert read_key() == "fl_environment"


def test_the_journal_lies_where_the_system_wants_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAULTLIGHT_STATE_DIR", raising=False)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert state_folder() == tmp_path / "xdg" / "faultlight"
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path / 'systemd'}:{tmp_path / 'second'}")
    assert state_folder() == tmp_path / "systemd"
    monkeypatch.setenv("FAULTLIGHT_STATE_DIR", str(tmp_path / "own"))
    assert journal_path(tmp_path).parent == tmp_path / "own"
    assert journal_path(tmp_path) != journal_path(tmp_path / "other")


@pytest.mark.parametrize(
    ("url", "in_clear"),
    [("http://fab.example", True), ("https://fab.example", False), ("http://127.0.0.1:1", False)],
)
def test_a_key_in_clear_is_warned_about(url: str, in_clear: bool) -> None:
    assert sends_key_in_clear(url) is in_clear
