"""Value change dumps of simulators: VCD text and FST, through pywellen, checked per identifier by a count of our own.

pywellen keeps a file compressed and hands out one signal at a time, so memory stays near the file's size. For VCD
every signal it returns is compared, by number of changes and checksum, with a token walk of the raw text
(``value_change_walk``) before it is handed on; for FST its counts are compared with the file's own header
(``fast_signal_trace``). Re-assertions of an unchanged value are no changes on either side.
"""

import os
import re
import sys
import tempfile
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach
from instruments.errors import CorruptField, CountMismatch, ReaderCrashed
from instruments.records import DigitalTrace, Record
from instruments.simulation.fast_signal_trace import HEADER_LENGTH, TraceHeader, read_trace_header
from instruments.simulation.value_change_copy import readable_copy, without_brackets
from instruments.simulation.value_change_walk import (
    KNOWN_TEXTS,
    LAST_TICK,
    REAL_KINDS,
    ChangeCount,
    DeclaredVariable,
    WalkedDump,
    walk_dump,
)

Result = TypeVar("Result")
Changes = tuple[list[int], list[str]]
VCD_START = re.compile(rb"\$(date|version|comment|timescale|scope|var|timezero|enddefinitions|attrbegin)\s")
FST_START = bytes([0]) + (HEADER_LENGTH).to_bytes(8, "big")
FST_WRAPPED = bytes([254])


class ValueChangeDumpAdapter:
    """Reads VCD and FST files into one ``DigitalTrace`` per variable; aliases share ``identifier``."""

    name = "value_change_dump"
    version = "6"
    formats = ("vcd", "fst")
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Look for an FST header block, or for a dump's first command."""
        if source.is_bundle:
            return Sniff(Confidence.NO, "a bundle is not a value change dump")
        wrapped = source.head.startswith(FST_WRAPPED) and source.head[17:19] == b"\x1f\x8b"
        if wrapped or source.head.startswith(FST_START):
            return Sniff(Confidence.CERTAIN, "an FST header block, or one in a gzip block")
        text = source.head.lstrip(b"\xef\xbb\xbf \t\r\n")
        if VCD_START.match(text):
            declares = b"$enddefinitions" in source.head or b"$var" in source.head
            confidence = Confidence.CERTAIN if declares else Confidence.LIKELY
            return Sniff(confidence, "it starts with a command of a value change dump")
        if source.name.lower().endswith((".vcd", ".fst")):
            return Sniff(Confidence.POSSIBLE, "only the name says that it is a dump")
        return Sniff(Confidence.NO, "neither a VCD header nor an FST block")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return ``"vcd"`` or ``"fst"`` and the traces, in the reader's order of variables.

        Raises:
            instruments.errors.InstrumentError: the dump is cut, contradicts itself, or the two counts differ.
        """
        with source.path.open("rb") as stream:
            first = stream.read(1)
        if first in (bytes([0]), FST_WRAPPED):
            return "fst", _read_fst(source)
        return "vcd", _read_vcd(source)


@contextmanager
def _standard_output_to_error() -> Iterator[None]:
    """Send what the library prints on file descriptor 1 to 2: standard output is for our own answers."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)


def _guarded(action: Callable[[], Result], file: str) -> Result:
    """Call into pywellen; its errors, and its Rust panics (a ``BaseException``), become ours."""
    try:
        with _standard_output_to_error():
            return action()
    except Exception as error:
        message = " ".join(str(error).split())
        raise CorruptField(f"the reader pywellen refuses the dump: {message}", file=file) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        message = " ".join(str(error).split())
        raise ReaderCrashed(f"the reader pywellen crashed: {message}", file=file) from error


def _open(path: Path, file: str) -> Any:
    import pywellen  # noqa: PLC0415  (loaded only where a dump is read)

    return _guarded(lambda: pywellen.Waveform(str(path), multi_threaded=False), file)


def _load(variable: Any, file: str) -> Changes:
    """Return ticks and values (as ``DigitalTrace`` has them) of one of pywellen's variables."""
    raw: list[tuple[int, Any]] = _guarded(lambda: list(variable.signal), file)
    width = variable.bitwidth or 0
    is_event = str(variable.var_type) == "Event"
    ticks = [tick for tick, _ in raw]
    if ticks and ticks[-1] > LAST_TICK:
        raise CorruptField("the time stamp does not fit 63 bits", file=file, found=ticks[-1])
    return ticks, ["1"] * len(raw) if is_event else _value_texts([value for _, value in raw], width)


def _value_texts(values: list[Any], width: int) -> list[str]:
    """Return the text of each value; whole numbers that come again and again are written once."""
    texts: dict[int, str] = {}
    found = []
    for value in values:
        if type(value) is not int:
            found.append(_value_text(value, width))
            continue
        text = texts.get(value)
        if text is None:
            text = format(value, f"0{width}b")
            if len(texts) < KNOWN_TEXTS:
                texts[value] = text
        found.append(text)
    return found


def _value_text(value: Any, width: int) -> str:
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, int):
        return format(value, f"0{width}b")
    return str(value)


@dataclass(frozen=True)
class _Match:
    """One of pywellen's variables and the declarations it stands for (several when it merged bits)."""

    variable: Any
    declared: tuple[DeclaredVariable, ...]

    @property
    def identifier(self) -> str:
        return " ".join(variable.identifier for variable in self.declared)


def _read_vcd(source: Source) -> Iterator[Record]:
    file = source.name
    dump = walk_dump(source.path, file)
    if not dump.variables:
        raise CorruptField("the dump declares no variable", file=file)
    warnings = _dump_warnings(dump)
    if dump.changes == 0:
        yield from _silent_traces(dump, (*warnings, "the dump holds no value change"))
        return
    with tempfile.TemporaryDirectory(prefix="faultlight-vcd-") as folder:
        path = readable_copy(source.path, dump, Path(folder), file)
        waveform = _open(path, file)
        declared = [variable for variable in dump.variables if not variable.is_empty]
        matches = _match(_guarded(lambda: list(waveform.all_vars()), file), declared, file)
        loads = _SharedLoads(matches, file)
        for match in matches:
            ticks, values = loads.take(match)
            _compare(match, ticks, values, dump, file)
            yield _trace(match, (ticks, values), dump, warnings)
    for variable in dump.variables:
        if variable.is_empty:
            yield _trace(_Match(None, (variable,)), ([], []), dump, warnings)


def _dump_warnings(dump: WalkedDump) -> tuple[str, ...]:
    warnings = []
    if dump.timescale_s is None:
        warnings.append("the dump has no $timescale: the length of a tick is unknown")
    elif dump.timescale == "1s" and "icarus" in dump.version.lower():
        warnings.append("a timescale of 1 s from Icarus Verilog was probably never set")
    empty = sum(variable.is_empty for variable in dump.variables)
    if empty:
        warnings.append(f"{empty} variables have no bits and hold nothing")
    if dump.decimals:
        warnings.append(f"time stamps have fractions: a tick here is 1/{10**dump.decimals} of one in the dump")
    if not dump.ends_with_newline:
        warnings.append("the last line has no line end: the dump may be cut")
    return tuple(warnings)


def _match(variables: list[Any], declared: list[DeclaredVariable], file: str) -> list[_Match]:
    """Pair pywellen's variables with the ``$var`` lines by full name, in order; it merges split vectors."""
    queues: dict[str, deque[DeclaredVariable]] = defaultdict(deque)
    for variable in declared:
        name = without_brackets(variable.full_name) if variable.is_bracketed else variable.full_name
        queues[name].append(variable)
        bracketed = ".".join((*variable.scopes, variable.reference))
        for other in {variable.own_name, bracketed} - {name}:
            queues[other].append(variable)
    used: set[int] = set()
    matches = []
    for variable in variables:
        name = str(variable.full_name).replace(".[", "[")
        width = variable.bitwidth or 0
        width = 1 if str(variable.var_type) == "Event" else width
        taken: list[DeclaredVariable] = []
        queue = queues[name]
        while queue and (not taken or sum(part.width for part in taken) < width):
            candidate = queue.popleft()
            if id(candidate) not in used:
                used.add(id(candidate))
                taken.append(candidate)
        if not taken or sum(part.width for part in taken) != width:
            raise CountMismatch(
                f"the reader's variable {variable.full_name} is not among the dump's $var lines",
                file=file,
                expected=sum(part.width for part in taken),
                found=width,
            )
        taken.sort(key=lambda part: part.high_index if part.high_index is not None else 0, reverse=True)
        matches.append(_Match(variable, tuple(taken)))
    if len(used) != len(declared):
        raise CountMismatch(
            "the reader and the $var lines disagree about the variables",
            file=file,
            expected=len(declared),
            found=len(used),
        )
    return matches


class _SharedLoads:
    """Each signal is loaded once and kept only while a further alias of it is still to come."""

    def __init__(self, matches: list[_Match], file: str) -> None:
        self._file = file
        self._left = Counter(str(match.variable.signal_id) for match in matches)
        self._kept: dict[str, Changes] = {}

    def take(self, match: _Match) -> Changes:
        """Return the ticks and values of the match's signal."""
        key = str(match.variable.signal_id)
        changes = self._kept.get(key) or _load(match.variable, self._file)
        self._left[key] -= 1
        if self._left[key]:
            self._kept[key] = changes
        else:
            self._kept.pop(key, None)
        return changes


def _compare(match: _Match, ticks: list[int], values: list[str], dump: WalkedDump, file: str) -> None:
    """Check one signal against the walk, each identifier by itself.

    Raises:
        CountMismatch: with the number of changes that the walk expects and that the reader gave.
    """
    merged = len(match.declared) > 1
    low = 0
    for part in match.declared:
        counted = ChangeCount()
        is_event = part.kind == "event"
        if merged:
            counted.last_value = "x" * part.width
        if is_event:
            for tick, value in zip(ticks, values, strict=True):
                counted.add(tick, value[low : low + part.width] if merged else value, repeats=True)
        else:
            counted.add_all(ticks, [value[low : low + part.width] for value in values] if merged else values)
        expected = dump.counts[part.identifier]
        if counted.signature() != expected.signature(ignore_leading_x=merged):
            walked = expected.signature(ignore_leading_x=merged)[0]
            message = f"the reader and the token count disagree about the changes of {part.full_name}"
            if walked == counted.count:
                message = f"the reader and the token count disagree about the values of {part.full_name}"
            raise CountMismatch(
                f"{message} (identifier {part.identifier})", file=file, expected=walked, found=counted.count
            )
        low += part.width


def _trace(match: _Match, changes: Changes, dump: WalkedDump, warnings: tuple[str, ...]) -> DigitalTrace:
    first = match.declared[0]
    ticks, values = changes
    return DigitalTrace(
        name=first.full_name if len(match.declared) > 1 else first.own_name,
        identifier=match.identifier,
        kind=first.kind,
        width=sum(part.width for part in match.declared),
        timescale_s=None if dump.timescale_s is None else float(Decimal(repr(dump.timescale_s)).scaleb(-dump.decimals)),
        ticks=np.array(ticks, np.int64),
        values=tuple(values),
        initial_ticks_offset=(dump.timezero or 0) * 10**dump.decimals,
        vendor_metadata={
            "date": dump.date,
            "version": dump.version,
            "timescale": dump.timescale,
            "last_tick": dump.last_tick,
            "ticks_per_stamp": 10**dump.decimals,
            "declared": [part.reference for part in match.declared],
        },
        warnings=warnings,
    )


def _silent_traces(dump: WalkedDump, warnings: tuple[str, ...]) -> Iterator[Record]:
    """pywellen panics on some dumps without transitions; the declarations say all there is."""
    for variable in dump.variables:
        yield _trace(_Match(None, (variable,)), ([], []), dump, warnings)


def _read_fst(source: Source) -> Iterator[Record]:
    file = source.name
    header = read_trace_header(source.path, file)
    waveform = _open(source.path, file)
    variables = _guarded(lambda: list(waveform.all_vars()), file)
    signals = {str(variable.signal_id) for variable in variables}
    for what, expected, found in (
        ("variables", header.variables, len(variables)),
        ("different signals", header.handles, len(signals)),
    ):
        if expected != found:
            message = f"the reader and the file's header disagree about the number of {what}"
            raise CountMismatch(message, file=file, expected=expected, found=found)
    timescale_s = _fst_timescale_s(waveform, header, file)
    warnings: tuple[str, ...] = ()
    if timescale_s == 1.0 and "icarus" in header.version.lower():
        warnings = ("a timescale of 1 s from Icarus Verilog was probably never set",)
    matches = [_Match(variable, ()) for variable in variables]
    loads = _SharedLoads(matches, file)
    for match in matches:
        ticks, values = loads.take(match)
        if ticks and not header.start_tick <= ticks[0] <= ticks[-1] <= header.end_tick:
            raise CountMismatch(
                f"a change of {match.variable.full_name} lies outside the file's first and last time",
                file=file,
                expected=f"{header.start_tick} to {header.end_tick}",
                found=f"{ticks[0]} to {ticks[-1]}",
            )
        yield _fst_trace(match.variable, (ticks, values), header, (timescale_s, warnings))


def _fst_timescale_s(waveform: Any, header: TraceHeader, file: str) -> float:
    declared = float(f"1e{header.timescale_exponent}")
    reader = waveform.timescale
    read = None if reader is None else float(f"{reader.factor}e{reader.unit.to_exponent()}")
    if read is None or abs(read - declared) > 1e-9 * declared:
        message = "the reader and the file's header disagree about the timescale"
        raise CountMismatch(message, file=file, expected=declared, found=read)
    return declared


def _fst_trace(
    variable: Any, changes: Changes, header: TraceHeader, common: tuple[float, tuple[str, ...]]
) -> DigitalTrace:
    ticks, values = changes
    kind = str(variable.var_type).lower()
    textual = kind == "string" or kind in REAL_KINDS or variable.is_real or variable.is_string
    return DigitalTrace(
        name=str(variable.full_name),
        identifier=re.sub(r"\D", "", str(variable.signal_id)),
        kind=kind,
        width=0 if textual else max(int(variable.bitwidth or 0), 1),
        timescale_s=common[0],
        ticks=np.array(ticks, np.int64),
        values=tuple(values),
        initial_ticks_offset=header.timezero,
        vendor_metadata={
            "date": header.date,
            "version": header.version,
            "last_tick": header.end_tick,
            "direction": str(variable.direction),
        },
        warnings=common[1],
    )
