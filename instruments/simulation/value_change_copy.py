"""A value change dump rewritten as pywellen can read it."""

import re
import shutil
from pathlib import Path

from instruments.errors import UnsupportedVersion
from instruments.simulation.value_change_tokens import MARK, Tokens, body_statements, whole_stamp, words_to_end
from instruments.simulation.value_change_walk import INDEX, WalkedDump

TIMEZERO = re.compile(rb"\$timezero\s+[+-]?\d+\s+\$end")
TIMEZERO_SEARCH_BYTES = 1 << 20
_ATTRIBUTES = frozenset({"$attrbegin", "$attrend"})
_VHDL = ("architecture", "procedure", "function", "record", "process", "block", "for_generate", "if_generate",
         "generate", "package")  # fmt: skip
KNOWN_SCOPES = frozenset({"module", "task", "function", "begin", "fork", "generate", "struct", "union", "class",
                          "interface", "package", "program", *(f"vhdl_{name}" for name in _VHDL)})  # fmt: skip
"""Kinds of scopes that pywellen knows; what kind a scope is of says nothing about its variables."""


def without_brackets(name: str) -> str:
    """Return an escaped ``name`` with parentheses for the brackets at its end."""
    return INDEX.sub(lambda match: match[0].replace("[", "(").replace("]", ")"), name)


def readable_copy(path: Path, dump: WalkedDump, folder: Path, file: str) -> Path:
    """Return the dump as pywellen can read it.

    That is without ``$timezero``, fractions of ticks, a byte order mark, attributes (which say nothing of values, and
    of which pywellen panics when one refers to what is not there) and variables without bits, and with each statement
    on a line of its own, single blanks, and kinds of scopes that it knows. Brackets at the end of an escaped name,
    which it takes for an index, are parentheses there.
    """
    if dump.timezero is not None:
        path = _copy_without_timezero(path, folder, file)
    with path.open("rb") as original:
        marked = original.read(3) == MARK
    odd = any(variable.is_empty or variable.is_bracketed for variable in dump.variables)
    if dump.decimals or odd or not _is_plain(path):
        return _copy_by_statements(path, dump, folder / "whole.vcd")
    if not marked:
        return path
    copy = folder / "whole.vcd"
    with path.open("rb") as original, copy.open("wb") as target:
        original.seek(3)
        shutil.copyfileobj(original, target)
    return copy


def _is_plain(path: Path) -> bool:
    """Tell whether the header is written as pywellen expects it: no tab or attribute, its end alone, known scopes.

    White space of any kind parts the words of a dump, and line ends mean nothing in it.
    """
    with path.open("rb") as stream:
        for line in stream:
            words = line.split()
            if any(mark in line.strip() for mark in (b"\t", b"\v", b"\f")):
                return False
            if b"$enddefinitions" in words:
                return words in ([b"$enddefinitions", b"$end"], [b"$enddefinitions"])
            if b"$attrbegin" in words or b"$attrend" in words:
                return False
            if b"$scope" in words:
                kind = words[words.index(b"$scope") + 1 :][:1]
                if not kind or kind[0].decode("latin-1") not in KNOWN_SCOPES:
                    return False
    return True


def _copy_by_statements(path: Path, dump: WalkedDump, copy: Path) -> Path:
    empty = {variable.identifier.encode() for variable in dump.variables if variable.is_empty}
    declared = iter(dump.variables)
    with path.open("rb") as original, copy.open("wb") as target:
        if original.read(3) != MARK:
            original.seek(0)
        tokens = Tokens(original)
        for raw in tokens:
            command = raw.decode("utf-8", "replace")
            words = words_to_end(tokens, command)
            variable = next(declared) if command == "$var" else None
            if command in _ATTRIBUTES or (variable is not None and words[2].encode() in empty):
                continue
            if variable is not None and variable.is_bracketed:
                words[3:] = [without_brackets(variable.reference)]
            if command == "$scope" and words[0] not in KNOWN_SCOPES:
                words[0] = "module"
            target.write(" ".join((command, *words, "$end")).encode() + b"\n")
            if command == "$enddefinitions":
                break
        for statement in body_statements(path):
            if empty and statement[:1] in b"bB" and statement.partition(b" ")[2] in empty:
                continue
            is_stamp = dump.decimals and statement.startswith(b"#")
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
