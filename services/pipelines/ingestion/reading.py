"""Reading files offline: what ``faultlight read`` does, with the same sandbox as the workers."""

import tempfile
from pathlib import Path
from typing import Any

from instruments.packing import PackedReading
from instruments.sandbox import Sandbox, SandboxLimits
from services.settings import get_settings


def open_sandbox() -> Sandbox:
    """Return a sandbox with the configured limits."""
    settings = get_settings()
    return Sandbox(SandboxLimits(settings.read_timeout_s, settings.read_memory_bytes, settings.read_output_bytes))


def describe_reading(reading: PackedReading) -> dict[str, Any]:
    """Return the answer of ``faultlight read --json`` for a packed reading."""
    return {
        "file": reading.file,
        "format": reading.format,
        "adapter": reading.adapter,
        "adapter_version": reading.adapter_version,
        "records": [record.summary for record in reading.records],
        "warnings": list(reading.warnings),
    }


def read_document(
    path: Path, adapter_name: str | None = None, sandbox: Sandbox | None = None, *, header: bool = False
) -> dict[str, Any]:
    """Read a file, folder or archive and return what it holds; in ``sandbox``, or in one of its own.

    With ``header`` no sample is looked at where the format allows that, and there are no ranges; ``reach`` says it.

    Raises:
        instruments.errors.InstrumentError: it is refused, and why.
        FileNotFoundError: there is no such file.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if sandbox is None:
        with open_sandbox() as own:
            return read_document(path, adapter_name, own, header=header)
    with tempfile.TemporaryDirectory(prefix="faultlight-read-") as folder:
        if header:
            return sandbox.describe(path, path.name, Path(folder), adapter_name)
        return describe_reading(sandbox.read(path, path.name, Path(folder), adapter_name))
