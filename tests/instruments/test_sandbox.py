"""The reading process: its limits hold, its death is told, it outlives nobody, and it answers again."""

import errno
import gzip
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from instruments import errors
from instruments.errors import (
    CorruptField,
    CountMismatch,
    InstrumentError,
    ReaderCrashed,
    ReadingLimit,
    UnknownFormat,
)
from instruments.packed_parts import LAYOUT
from instruments.packing import PARTS, PackedReading
from instruments.sandbox import Sandbox, SandboxLimits, describe_error, rebuild_error

ROOT = Path(__file__).resolve().parents[2]
NETLIST = b"INPUT(a)\nINPUT(b)\nOUTPUT(y)\ny = NAND(a, b)\n"
MEBIBYTE = 1 << 20


def many_gates(count: int) -> bytes:
    return NETLIST + b"".join(b"w%d = NAND(a, b)\n" % index for index in range(count))


def written(folder: Path, data: bytes, name: str = "n.bench") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(SandboxLimits(wall_s=60)) as made:
        yield made


def test_a_file_is_read_and_packed(sandbox: Sandbox, tmp_path: Path) -> None:
    reading = sandbox.read(written(tmp_path, NETLIST), "other name.bench", tmp_path / "out")
    assert (reading.file, reading.format, reading.adapter) == ("other name.bench", "bench", "bench_netlist")
    assert reading.samples_path.is_file()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.json", "parts.bin", "samples.bin"]


def test_a_refusal_crosses_the_border_with_all_its_facts(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(CorruptField) as caught:
        sandbox.read(written(tmp_path, NETLIST[:-6]), "n.bench", tmp_path / "out")
    error = caught.value
    assert (error.file, error.offset, error.offset_unit, error.found) == ("n.bench", 4, "line", "y = NAND(")
    assert str(error) in {reason["reason"] for reason in error.reasons}
    assert {"adapter", "version", "reason", "verdict"} == set(error.reasons[0])


@pytest.mark.parametrize("kind", [kind for kind in vars(errors).values() if isinstance(kind, type)])
def test_every_kind_of_error_is_rebuilt_as_itself(kind: type) -> None:
    if not issubclass(kind, InstrumentError):
        return
    reasons = [{"adapter": "a", "version": "1", "reason": "no"}]
    error = InstrumentError("odd", file="f", offset=3, expected="x", found=4, offset_unit="line")
    error.reasons = reasons
    document = describe_error(error) | {"type": kind.__name__}
    rebuilt = rebuild_error(document)
    assert type(rebuilt) is kind
    assert (str(rebuilt), rebuilt.reasons) == ("f: odd at line 3 (expected x, found 4)", reasons)


@pytest.mark.parametrize("name", ["Path", "Any", "no such", "__doc__", "os"])
def test_an_error_of_an_unknown_kind_is_a_crash(name: str) -> None:
    """The reading process may have been taken over: its answer is believed as data only."""
    document = describe_error(InstrumentError("odd")) | {"type": name}
    assert type(rebuild_error(document)) is ReaderCrashed


def test_the_time_limit_holds(tmp_path: Path) -> None:
    with Sandbox(SandboxLimits(wall_s=0.1)) as limited:
        with pytest.raises(ReadingLimit, match=r"longer than 0\.1 s"):
            limited.read(written(tmp_path, many_gates(300_000)), "n.bench", tmp_path / "out")
        children = psutil.Process(limited._server.pid).children() if limited._server else []
        assert children == []
        assert limited.read(written(tmp_path, NETLIST), "n.bench", tmp_path / "next").format == "bench"


def test_the_memory_limit_holds(tmp_path: Path) -> None:
    data = many_gates(400_000)
    with Sandbox(SandboxLimits(memory_bytes=120 * MEBIBYTE)) as limited:
        with pytest.raises(ReadingLimit, match="memory"):
            limited.read(written(tmp_path, data), "n.bench", tmp_path / "out")
        assert limited.read(written(tmp_path, NETLIST), "n.bench", tmp_path / "next").format == "bench"


def test_the_output_limit_holds(tmp_path: Path) -> None:
    with Sandbox(SandboxLimits(output_bytes=20_000)) as limited:
        with pytest.raises(ReadingLimit, match=r"stopped by the system|more than it may"):
            limited.read(written(tmp_path, many_gates(20_000)), "n.bench", tmp_path / "out")
        written_bytes = sum(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file())
        assert written_bytes < 60_000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
@pytest.mark.parametrize(
    "name", ["samples.bin", "parts.bin", "manifest.json", "members/member-000000", "members/unpacked"]
)
def test_a_full_disk_says_nothing_of_the_file(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    """The job is done again when there is room: the file is not refused."""
    out = tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).symlink_to("/dev/full")
    path = written(tmp_path, NETLIST)
    if "member-" in name:
        with zipfile.ZipFile(tmp_path / "n.zip", "w") as archive:
            archive.write(path, "n.bench")
        path = tmp_path / "n.zip"
    elif "unpacked" in name:
        path = written(tmp_path, gzip.compress(NETLIST), "n.bench.gz")
    with pytest.raises(OSError, match="no room") as caught:
        sandbox.read(path, path.name, out)
    assert caught.value.errno == errno.ENOSPC
    assert sandbox.read(written(tmp_path, NETLIST), "n.bench", tmp_path / "next").format == "bench"


def test_a_killed_reader_is_told_and_the_next_file_is_read(sandbox: Sandbox, tmp_path: Path) -> None:
    """Whoever kills it, the kernel short of memory or a crash in a native library."""
    for number, expected in ((signal.SIGSEGV, ReaderCrashed), (signal.SIGKILL, ReadingLimit)):
        killed: list[int] = []

        def kill(number: signal.Signals = number, killed: list[int] = killed) -> None:
            server = sandbox._server
            assert server is not None
            for child in psutil.Process(server.pid).children():
                os.kill(child.pid, number)
                killed.append(child.pid)

        with pytest.raises(expected, match=number.name):
            sandbox.read(written(tmp_path, many_gates(300_000)), "n.bench", tmp_path / number.name, watch=kill)
        assert killed
    assert sandbox.read(written(tmp_path, NETLIST), "n.bench", tmp_path / "next").format == "bench"


def test_a_killed_server_is_started_again(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.read(written(tmp_path, NETLIST), "n.bench", tmp_path / "first")
    assert sandbox._server is not None
    os.kill(sandbox._server.pid, signal.SIGKILL)
    assert sandbox.read(written(tmp_path, NETLIST), "n.bench", tmp_path / "second").format == "bench"


def test_whoever_watches_can_end_the_reading(sandbox: Sandbox, tmp_path: Path) -> None:
    class EnoughError(Exception):
        pass

    def watch() -> None:
        raise EnoughError

    begun = time.monotonic()
    with pytest.raises(EnoughError):
        sandbox.read(written(tmp_path, many_gates(1_000_000)), "n.bench", tmp_path / "out", watch=watch)
    assert time.monotonic() - begun < 5
    assert sandbox._server is None


def test_no_reader_outlives_its_caller(tmp_path: Path) -> None:
    """The caller is killed in the middle of a reading; its server and the reader end by themselves."""
    written(tmp_path, many_gates(2_000_000))
    code = (
        "import sys; from pathlib import Path; from instruments.sandbox import Sandbox; f = Path(sys.argv[1]);"
        "Sandbox().read(f / 'n.bench', 'n.bench', f / 'out')"
    )
    caller = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT)
    family: list[psutil.Process] = []
    deadline = time.monotonic() + 30
    while len(family) < 2 and time.monotonic() < deadline:
        family = psutil.Process(caller.pid).children(recursive=True)
        time.sleep(0.02)
    assert len(family) == 2
    caller.kill()
    caller.wait()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []


def test_threads_share_a_sandbox_one_file_at_a_time(sandbox: Sandbox, tmp_path: Path) -> None:
    counts: dict[int, int] = {}

    def read(index: int) -> None:
        path = written(tmp_path, many_gates(index), f"{index}.bench")
        reading = sandbox.read(path, path.name, tmp_path / str(index))
        counts[index] = reading.records[0].summary["count"]

    threads = [threading.Thread(target=read, args=(index,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == {index: index + 1 for index in range(6)}


def test_what_the_reader_leaves_is_checked(sandbox: Sandbox, tmp_path: Path) -> None:
    """A table of parts that points outside of the samples is not believed."""
    reading = sandbox.read(written(tmp_path, NETLIST), "n.bench", tmp_path / "out")
    parts = np.fromfile(reading.folder / PARTS, LAYOUT)
    for place, length in ((10**9, 1), (0, 10**9), (-1, 1), (0, -1)):
        parts["byte_offset"], parts["byte_length"] = place, length
        parts.tofile(reading.folder / PARTS)
        with pytest.raises(CountMismatch, match="outside the samples"):
            PackedReading.load(reading.folder)


def test_an_explicit_format_bypasses_sniffing(sandbox: Sandbox, tmp_path: Path) -> None:
    path = written(tmp_path, NETLIST, "n.txt")
    assert sandbox.read(path, "n.txt", tmp_path / "1", "bench_netlist").adapter == "bench_netlist"
    with pytest.raises(UnknownFormat, match="there is no adapter 'nobody'"):
        sandbox.read(path, "n.txt", tmp_path / "2", "nobody")
