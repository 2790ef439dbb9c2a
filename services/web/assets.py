"""The console's own style sheets and modules by name, under an address that changes whenever any of them does."""

import hashlib
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "static"
TYPES = {".css": "text/css", ".mjs": "text/javascript", ".svg": "image/svg+xml"}


@cache
def read_assets() -> dict[str, bytes]:
    """Return the content of every asset by its name."""
    return {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in TYPES}


@cache
def assets_version() -> str:
    """Return what names the assets as they are, all together: modules import one another from the same folder."""
    parts = (hashlib.sha256(name.encode() + b"\0" + content).digest() for name, content in read_assets().items())
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def asset_path(name: str) -> str:
    """Return the address of an asset for a page; raises KeyError where there is none of that name."""
    if name not in read_assets():
        raise KeyError(name)
    return f"/console/{assets_version()}/{name}"
