"""Bytes from writers that write to a path."""

import tempfile
from collections.abc import Callable
from pathlib import Path


def written(write: Callable[[Path], None]) -> bytes:
    """Return what ``write`` writes to the path that it is given."""
    with tempfile.NamedTemporaryFile(prefix="faultlight-made-") as file:
        path = Path(file.name)
        write(path)
        return path.read_bytes()
