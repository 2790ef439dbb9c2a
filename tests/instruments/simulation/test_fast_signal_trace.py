import gzip
import struct
from pathlib import Path

import pytest

from instruments.errors import InstrumentError
from instruments.simulation.fast_signal_trace import read_trace_header
from instruments.simulation.value_change_dump import ValueChangeDumpAdapter
from tests.instruments.simulation.sources import read_all, written

E_BYTES = struct.pack("<d", 2.718281828459045)


def block(kind: int, body: bytes) -> bytes:
    return struct.pack(">BQ", kind, len(body) + 8) + body


def header(*, end: int = 7, variables: int = 2, handles: int = 2, blocks: int = 1) -> bytes:
    numbers = struct.pack(">5Q", 1 << 20, 1, variables, handles, blocks)
    texts = b"own writer".ljust(128, b"\0") + b"today\n".ljust(119, b"\0")
    return block(0, struct.pack(">QQ", 0, end) + E_BYTES + numbers + b"\xf4" + texts + struct.pack(">Bq", 0, -3))


def trace(**numbers: int) -> bytes:
    changes = block(8, struct.pack(">QQ", 0, 7) + bytes(20))
    return header(**numbers) + changes + block(3, bytes(20)) + block(6, bytes(20))


def refusal(folder: Path, content: bytes) -> str:
    path = folder / "x.fst"
    path.write_bytes(content)
    with pytest.raises(InstrumentError) as caught:
        read_trace_header(path, "x.fst")
    return f"{type(caught.value).__name__}: {caught.value}"


@pytest.mark.parametrize("wrapped", [False, True])
def test_header_of_a_whole_file(tmp_path, wrapped):
    content = trace()
    if wrapped:
        packed = gzip.compress(content)
        content = struct.pack(">BQQ", 254, len(packed) + 16, len(content)) + packed
    path = tmp_path / "x.fst"
    path.write_bytes(content)
    found = read_trace_header(path, "x.fst")
    assert (found.start_tick, found.end_tick, found.scopes, found.variables, found.handles) == (0, 7, 1, 2, 2)
    assert (found.value_change_blocks, found.timescale_exponent, found.timezero) == (1, -12, -3)
    assert (found.version, found.date) == ("own writer", "today")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "NotThisFormat: x.fst: the file is empty at byte 0"),
        (trace()[:-1], "Truncated: x.fst: a block is cut at byte 404 (expected 29, found 28)"),
        (trace()[:334], "Truncated: x.fst: the file ends within a block's length at byte 330"),
        (
            header(blocks=0),
            "Truncated: x.fst: no hierarchy or geometry block: the simulator did not close the file at byte 330",
        ),
        (
            header() + block(255, bytes(8)),
            "Truncated: x.fst: an unfinished block: the simulator did not close the file at byte 330",
        ),
        (
            trace(blocks=2),
            "CorruptField: x.fst: the header's number of value change blocks at byte 65 (expected 2, found 1)",
        ),
        (trace(end=9), "CorruptField: x.fst: the header's last time at byte 17 (expected 9, found 7)"),
        (block(3, bytes(8)), "NotThisFormat: x.fst: the file does not start with an FST header block at byte 0"),
        (block(0, bytes(8)), "CorruptField: x.fst: the header block's length at byte 1 (expected 329, found 16)"),
        (
            trace().replace(E_BYTES, bytes(8)),
            "UnsupportedVersion: x.fst: the byte order mark of real numbers is unknown at byte 25",
        ),
        (
            header() + block(8, struct.pack(">QQ", 0, 7)) + block(3, struct.pack(">Q", 1 << 60) + bytes(8)),
            "CorruptField: x.fst: a block claims to unpack to more than it can at byte 364"
            " (expected at most 26400, found 1152921504606846976)",
        ),
        (b"\xfe" + bytes(8), "Truncated: x.fst: the file ends within its gzip wrapper at byte 9"),
        (
            struct.pack(">BQQ", 254, 1000, 5) + bytes(10),
            "Truncated: x.fst: the gzip wrapper is cut at byte 27 (expected 1001, found 27)",
        ),
    ],
)
def test_refusals_in_full(tmp_path, content, message):
    assert refusal(tmp_path, content) == message


def test_a_damaged_wrapper_is_refused(tmp_path):
    packed = bytearray(gzip.compress(trace(), mtime=0))
    packed[-8] ^= 1
    message = refusal(tmp_path, struct.pack(">BQQ", 254, len(packed) + 16, len(trace())) + packed)
    assert message.startswith("CorruptField: x.fst: the gzip wrapper cannot be unpacked: CRC check failed ")


def test_a_wrapper_that_holds_more_is_refused(tmp_path):
    packed = gzip.compress(trace() + b"more", mtime=0)
    message = refusal(tmp_path, struct.pack(">BQQ", 254, len(packed) + 16, len(trace())) + packed)
    assert message == "CorruptField: x.fst: the gzip wrapper holds more than it says at byte 9 (expected 433)"


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (
            49,
            8,
            "CountMismatch: x.fst: the reader and the file's header disagree about the number of variables"
            " (expected 8, found 7)",
        ),
        (
            57,
            5,
            "CountMismatch: x.fst: the reader and the file's header disagree about the number of different signals"
            " (expected 5, found 4)",
        ),
        (17, 6, "CorruptField: x.fst: the header's last time at byte 17 (expected 6, found 7)"),
    ],
)
def test_a_real_file_whose_header_lies(shared_data, tmp_path, offset, value, message):
    content = bytearray((shared_data / "formats/fst/verilator__basic_test.fst").read_bytes())
    struct.pack_into(">Q", content, offset, value)
    with pytest.raises(InstrumentError) as caught:
        read_all(ValueChangeDumpAdapter(), written(tmp_path, "x.fst", bytes(content)))
    assert f"{type(caught.value).__name__}: {caught.value}" == message


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["icarus__CPU.vcd.fst", "nvc__manytypes2.fst", "verilator__basic_test.fst"])
def test_every_cut_of_a_real_file_is_refused(shared_data, tmp_path, name):
    content = (shared_data / "formats/fst" / name).read_bytes()
    for length in range(1, len(content), max(1, len(content) // 60)):
        with pytest.raises(InstrumentError):
            read_all(ValueChangeDumpAdapter(), written(tmp_path, "x.fst", content[:length]))
