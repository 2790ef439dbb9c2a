"""Bundles for tests: files by name in a folder, with a sidecar as JSON."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instruments.adapter import Adapter, Source
from instruments.records import Record
from instruments.registry import Registry, read_source


def bundle(folder: Path, files: Mapping[str, bytes | dict[str, Any]], name: str = "b") -> Source:
    """Write ``files`` (a mapping is written as JSON) to a fresh folder; return its source."""
    root = folder / name
    shutil.rmtree(root, ignore_errors=True)
    members = {}
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        members[path] = target
    return Source(root, name, sum(path.stat().st_size for path in members.values()), b"", members)


def read_with(adapter: Adapter, source: Source) -> dict[str, Record]:
    """All records by name, through the registry."""
    return {record.name: record for record in read_source(source, Registry([adapter]), adapter.name).records}
