"""A value change dump rewritten as pywellen can read it."""

import re
import shutil
from pathlib import Path

from instruments.errors import UnsupportedVersion
from instruments.simulation.value_change_tokens import MARK, body_statements, whole_stamp
from instruments.simulation.value_change_walk import WalkedDump

TIMEZERO = re.compile(rb"\$timezero\s+[+-]?\d+\s+\$end")
TIMEZERO_SEARCH_BYTES = 1 << 20


def readable_copy(path: Path, dump: WalkedDump, folder: Path, file: str) -> Path:
    """Return the dump as pywellen can read it: without ``$timezero``, fractions of ticks and a byte order mark."""
    if dump.timezero is not None:
        path = _copy_without_timezero(path, folder, file)
    with path.open("rb") as original:
        marked = original.read(3) == MARK
    if not dump.decimals and not marked:
        return path
    copy = folder / "whole.vcd"
    with path.open("rb") as original, copy.open("wb") as target:
        original.seek(3 if marked else 0)
        if not dump.decimals:
            shutil.copyfileobj(original, target)
            return copy
        for line in original:
            head, end, _ = line.partition(b"$enddefinitions")
            target.write(head + end + b"\n")
            if end:
                break
        statements = body_statements(path)
        for statement in statements:
            is_stamp = statement.startswith(b"#")
            target.write((whole_stamp(statement, dump.decimals) if is_stamp else statement) + b"\n")
    return copy


def _copy_without_timezero(path: Path, folder: Path, file: str) -> Path:
    """pywellen refuses ``$timezero``; give it a copy in which the command is blank. Line numbers stay."""
    copy = folder / "dump.vcd"
    with path.open("rb") as original, copy.open("wb") as target:
        head = original.read(TIMEZERO_SEARCH_BYTES)
        blanked, found = TIMEZERO.subn(lambda match: re.sub(rb"\S", b" ", match[0]), head)
        if found != 1:
            message = "$timezero must stand once, near the start of the dump"
            raise UnsupportedVersion(message, file=file, expected=1, found=found)
        target.write(blanked.lstrip())
        shutil.copyfileobj(original, target)
    return copy
