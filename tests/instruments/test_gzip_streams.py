"""A file in a gzip stream is its content: whole and checked, or refused, and never larger than it may be."""

import gzip
from pathlib import Path

import pytest

from instruments.bundle import ArchiveLimits, open_source
from instruments.errors import CorruptField, InstrumentError, ReadingLimit, Truncated
from instruments.mask.layout_process import LayoutProcess
from instruments.packing import summarize
from instruments.registry import read_source
from tests.adapter_contract.cases import CASES, registry
from tests.instruments.mask.layout_writer import sample_gdsii, sample_oasis

REGISTRY = registry()


@pytest.mark.parametrize("adapter", ["layout", "klarf", "value_change_dump", "stdf", "liberty", "delimited"])
def test_what_is_packed_is_read_as_what_it_holds(adapter: str, tmp_path: Path) -> None:
    case = CASES[adapter]
    plain = read_source(case.place(tmp_path), REGISTRY)
    path = tmp_path / f"{case.name}.gz"
    path.write_bytes(gzip.compress(case.files[""]))
    source = open_source(path, scratch=tmp_path / "scratch")
    assert source.name == case.name
    packed = read_source(source, REGISTRY)
    assert packed.adapter == case.adapter
    assert [summarize(record) for record in packed.records] == [summarize(record) for record in plain.records]


def test_streams_one_after_another_are_one_file(tmp_path: Path) -> None:
    data = sample_oasis()
    path = tmp_path / "a.oas.GZ"
    path.write_bytes(gzip.compress(data[:100]) + gzip.compress(data[100:]))
    source = open_source(path, scratch=tmp_path / "scratch")
    assert (source.name, source.path.read_bytes(), source.size_bytes) == ("a.oas", data, len(data))


def test_damaged_streams_and_bombs_are_refused(tmp_path: Path) -> None:
    data = gzip.compress(sample_gdsii() * 40)
    cases: list[tuple[bytes, type[InstrumentError], str]] = [
        (data[:-9], Truncated, f"a.gds.gz: the gzip stream ends before its end mark at byte {len(data) - 9}"),
        (data[:-4] + bytes(4), CorruptField, "the gzip stream is damaged: Incorrect length of data produced"),
        (data[:60] + b"\xff\x00" + data[62:], CorruptField, "the gzip stream is damaged: "),
        (data + b"more", CorruptField, "the gzip stream is damaged: Not a gzipped file (b'mo')"),
    ]
    path = tmp_path / "a.gds.gz"
    for content, kind, message in cases:
        path.write_bytes(content)
        with pytest.raises(kind) as caught:
            open_source(path, scratch=tmp_path / "scratch")
        assert message in str(caught.value)
    path.write_bytes(gzip.compress(bytes(4 << 20)))
    with pytest.raises(ReadingLimit, match=r"expands too far \(expected 1048576, found 2097152\)"):
        open_source(path, scratch=tmp_path / "scratch", limits=ArchiveLimits(member_bytes=1 << 20))


def test_a_packed_layout_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.gds.gz"
    path.write_bytes(gzip.compress(sample_gdsii()))
    with LayoutProcess(path) as engine:
        assert engine.summary().format == "gdsii"
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.gds.gz"]
