"""Describing a file by its header: nothing else than the full reading says, and no look at the samples."""

import ctypes
import mmap
import os
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instruments.adapter import HeaderAdapter, Source
from instruments.description import FileDescription, Reach
from instruments.errors import InstrumentError
from instruments.packing import summarize
from instruments.records import ReadResult
from instruments.registry import describe_source, read_source
from tests.adapter_contract.cases import CASES, CODES, EVERY_CASE, Case, photometer, registry
from tests.adapter_contract.sparse_files import SPARSE, place
from tests.adapter_contract.test_contract import cut_places

REGISTRY = registry()
EVERY = pytest.mark.parametrize("case", EVERY_CASE.values(), ids=EVERY_CASE)
BY_HEADER = [case for case in EVERY_CASE.values() if REGISTRY.adapters[case.adapter].reach is Reach.HEADER]
BY_HEADER_ONLY = pytest.mark.parametrize("case", BY_HEADER, ids=lambda case: case.adapter)
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the kernel counts here what a process reads")
LIMIT_BYTES = 4 << 20


def described(source: Source, adapter: str | None = None) -> FileDescription:
    return describe_source(source, REGISTRY, adapter)


def without_ranges(result: ReadResult) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in summarize(record).items() if key not in ("min", "max")}
        for record in result.records
    ]


@EVERY
def test_an_adapter_says_how_far_it_must_look_and_keeps_to_it(case: Case) -> None:
    adapter = REGISTRY.adapters[case.adapter]
    assert isinstance(adapter.reach, Reach)
    assert isinstance(adapter, HeaderAdapter) is (adapter.reach is Reach.HEADER)


@EVERY
def test_a_description_is_the_reading_without_ranges(case: Case, tmp_path: Path) -> None:
    source = case.place(tmp_path)
    result, description = read_source(source, REGISTRY), described(source)
    document = description.to_document()
    assert document["records"] == without_ranges(result)
    assert (description.format, description.adapter) == (result.format, result.adapter)
    assert description.reach is REGISTRY.adapters[case.adapter].reach
    assert set(description.warnings) <= set(result.warnings)
    assert set(document) == {"file", "format", "adapter", "adapter_version", "reach", "records", "warnings"}


@BY_HEADER_ONLY
def test_what_is_described_after_a_cut_is_what_is_read(case: Case, tmp_path: Path) -> None:
    """A refusal of the header is one of the reading, in the same words; what is read was described with its counts."""
    for path, data in case.files.items():
        for length in cut_places(len(data)):
            source = case.place(tmp_path, {path: data[:length]})
            description, refusal = answer(lambda source=source: described(source, case.adapter))
            result, later = answer(lambda source=source: read_source(source, REGISTRY, case.adapter))
            if refusal is not None:
                assert str(later) == str(refusal), (path, length)
            if result is not None:
                assert description is not None
                assert description.to_document()["records"] == without_ranges(result), (path, length)
        case.place(tmp_path)


def answer(action: Callable[[], Any]) -> tuple[Any, InstrumentError | None]:
    try:
        return action(), None
    except InstrumentError as error:
        return None, error


def bytes_looked_at(source: Source, action: Callable[[], object]) -> int:
    """Bytes that this process reads in calls to the system, and those of a sparse file that came into memory."""

    def so_far() -> int:
        counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
        return int(counts["rchar"]) + sum(map(bytes_in_memory, source.members.values() or (source.path,)))

    before = so_far()
    action()
    return so_far() - before


def bytes_in_memory(path: Path) -> int:
    """Bytes of the file in the kernel's cache of pages, where they are whether read or mapped."""
    library = ctypes.CDLL(None, use_errno=True)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE) as data:  # writable, for its address
        pages = -(-len(data) // mmap.PAGESIZE)
        states = (ctypes.c_ubyte * pages)()
        view = ctypes.c_char.from_buffer(data)
        try:
            failed = library.mincore(ctypes.c_void_p(ctypes.addressof(view)), ctypes.c_size_t(len(data)), states)
        finally:
            del view
    assert not failed, os.strerror(ctypes.get_errno())
    return mmap.PAGESIZE * int((np.frombuffer(states, np.uint8) & 1).sum())


@LINUX
@pytest.mark.parametrize("adapter", SPARSE)
def test_gigabytes_are_described_by_some_kilobytes(adapter: str, tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    described(CASES[adapter].place(tmp_path / "small"), adapter)  # loads the libraries
    source, count = SPARSE[adapter](tmp_path)
    assert source.size_bytes > 500_000_000
    found: list[FileDescription] = []
    assert bytes_looked_at(source, lambda: found.append(described(source, adapter))) < LIMIT_BYTES
    assert [record.count for record in found[0].records] == [count]
    assert found[0].reach is Reach.HEADER
    tracemalloc.start()
    try:
        described(source, adapter)
        assert tracemalloc.get_traced_memory()[1] < LIMIT_BYTES / 2
    finally:
        tracemalloc.stop()


def test_every_adapter_that_needs_the_header_alone_has_such_a_file() -> None:
    assert set(SPARSE) == {case.adapter for case in BY_HEADER}


@LINUX
def test_the_measure_sees_a_reading_and_a_mapping(tmp_path: Path) -> None:
    """The test above can fail: what it counts grows with what is looked at, whichever way."""
    head = photometer(CODES[:0], samples="20000000")
    source = place(tmp_path, "a.pm", {"": (head, len(head) + 40_000_000)})
    assert bytes_looked_at(source, lambda: read_source(source, REGISTRY)) > source.size_bytes
    other = place(tmp_path, "b.pm", {"": (head, len(head) + 40_000_000)})

    def scan() -> None:
        with other.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            assert data.find(b"not there") == -1

    assert bytes_looked_at(other, scan) > 0.9 * other.size_bytes > LIMIT_BYTES


def test_rasters_are_read_in_blocks_as_waveforms_are(tmp_path: Path) -> None:
    for name in ("fibsem_image", "signal_map"):
        folder = tmp_path / name
        folder.mkdir()
        for record in read_source(CASES[name].place(folder), REGISTRY).records:
            first, second = list(record.samples.blocks()), list(record.samples.blocks())
            assert sum(block.size for block in first) == record.samples.count
            np.testing.assert_array_equal(np.concatenate(first), np.concatenate(second))
            np.testing.assert_array_equal(np.concatenate(first), record.samples.array())
