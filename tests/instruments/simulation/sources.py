"""A ``Source`` of a file on disk or of text, without the bundle framework."""

from pathlib import Path

from instruments.adapter import HEAD_BYTES, Adapter, Source
from instruments.records import Netlist, Record


def source_of(path: Path) -> Source:
    """The source of one file."""
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    return Source(path=path, name=path.name, size_bytes=path.stat().st_size, head=head, members={})


def written(folder: Path, name: str, content: str | bytes) -> Source:
    """Write a file and return its source."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return source_of(path)


def read_all(adapter: Adapter, source: Source) -> list[Record]:
    """All records of a file."""
    return list(adapter.read(source)[1])


def read_netlist(adapter: Adapter, source: Source) -> Netlist:
    """The one netlist of a file."""
    (record,) = read_all(adapter, source)
    assert isinstance(record, Netlist)
    return record
