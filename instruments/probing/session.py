"""Probing sessions: a folder or archive with ``session.json`` and the files that it names.

Cross checks stand for the second count: patterns drive the netlist's inputs, fails name its outputs, probes its nets.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, TypeVar

from instruments.adapter import HEAD_BYTES, Confidence, Sniff, Source
from instruments.description import Reach
from instruments.errors import CorruptField, InstrumentError
from instruments.probing.session_document import FILE, read_document
from instruments.probing.session_maps import map_files, read_session_maps
from instruments.records import (
    DigitalTrace,
    FailLog,
    Netlist,
    PatternSet,
    Placement,
    ProbingSession,
    Record,
    Table,
    Waveform,
)
from instruments.registry import Registry, read_source

R = TypeVar("R", Netlist, PatternSet, FailLog, Placement)
DELAY_KINDS = {"delay_arc", "library_pin", "library_timing"}
"""Kinds of tables of a delay file: SDF, or Liberty."""


class ProbingSessionAdapter:
    """Reads a bundle with ``session.json`` at its root into one ProbingSession."""

    name = "probing_session"
    formats = ("probing-session",)
    reach = Reach.WALK

    @cached_property
    def _registry(self) -> Registry:
        return Registry.load()

    @cached_property
    def version(self) -> str:
        """Its own version and a hash of the other adapters': what they read differently, the session holds."""
        others = Registry(adapter for adapter in self._registry.adapters.values() if adapter.name != self.name)
        return f"4+{others.fingerprint()[:12]}"

    def sniff(self, source: Source) -> Sniff:
        """Say whether ``source`` is a bundle that has ``session.json``."""
        if not source.is_bundle:
            return Sniff(Confidence.NO, "a probing session is a bundle; this is one file")
        if FILE in source.members:
            return Sniff(Confidence.CERTAIN, f"the bundle has {FILE}")
        return Sniff(Confidence.NO, f"the bundle has no {FILE}")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the session of ``source`` with every record that it names.

        Raises:
            CorruptField: the document is not right, a named file is missing, or the files do not fit together.
            InstrumentError: one of the files is refused.
        """
        if FILE not in source.members:
            raise CorruptField(f"the bundle has no {FILE}", file=source.name)
        document = read_document(source.members[FILE], source.name)
        netlist = self._one(source, document, "netlist", Netlist)
        patterns = self._one(source, document, "patterns", PatternSet)
        fails = self._one(source, document, "fails", FailLog)
        placement = self._one(source, document, "placement", Placement)
        waveforms = {str(probe["file"]): self._waveforms(source, str(probe["file"])) for probe in document["waveforms"]}
        for key in ("layout", "delays"):
            if document.get(key) and document[key] not in source.members:
                message = f"{key}: the session names {document[key]}, which is not in the bundle"
                raise CorruptField(message, file=source.name)
        maps, map_warnings = read_session_maps(source, document)
        delays, delay_warnings = self._delays(source, document)
        session = ProbingSession(
            name=str(document["session"]),
            role=str(document["role"]),
            document=document,
            netlist=netlist,
            patterns=patterns,
            fails=fails,
            placement=placement,
            simulation=self._simulation(source, document),
            waveforms=waveforms,
            maps=maps,
            delays=delays,
            warnings=(*_unnamed_members(source, document), *map_warnings, *delay_warnings),
        )
        check_session(session, source.name)
        return "probing-session", (session,)

    def _one(self, source: Source, document: Mapping[str, Any], key: str, kind: type[R]) -> R | None:
        if not document.get(key):
            return None
        records = self._member(source, str(document[key]), key)
        if len(records) != 1 or not isinstance(records[0], kind):
            found = ", ".join(type(record).__name__ for record in records[:3])
            raise CorruptField(f"{key}: {document[key]} is no {kind.__name__}", file=source.name, found=found)
        return records[0]

    def _simulation(self, source: Source, document: Mapping[str, Any]) -> tuple[DigitalTrace, ...]:
        if not document.get("simulation"):
            return ()
        records = self._member(source, str(document["simulation"]), "simulation")
        traces = tuple(record for record in records if isinstance(record, DigitalTrace))
        if len(traces) != len(records):
            raise CorruptField(f"simulation: {document['simulation']} is no value change dump", file=source.name)
        return traces

    def _delays(self, source: Source, document: Mapping[str, Any]) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Return the tables of the delay file, and why there are none: a session is worth reading without them."""
        path = document.get("delays")
        if not path:
            return (), ()
        try:
            records = self._member(source, str(path), "delays")
        except InstrumentError as error:
            return (), (f"the delays were not read: {error.message}",)
        tables = tuple(record for record in records if isinstance(record, Table))
        if len(tables) != len(records) or not {table.kind for table in tables} <= DELAY_KINDS:
            return (), (f"the delays were not read: {path} is no SDF or Liberty file",)
        return tables, ()

    def _waveforms(self, source: Source, file: str) -> tuple[Waveform, ...]:
        records = self._member(source, file, "waveforms")
        waveforms = tuple(record for record in records if isinstance(record, Waveform))
        if not waveforms or len(waveforms) != len(records):
            raise CorruptField(f"waveforms: {file} holds something else than waveforms", file=source.name)
        return waveforms

    def _member(self, source: Source, path: str, key: str) -> tuple[Record, ...]:
        """Read one file of the bundle through all adapters."""
        member = source.members.get(path)
        if member is None:
            raise CorruptField(f"{key}: the session names {path}, which is not in the bundle", file=source.name)
        with member.open("rb") as file:
            head = file.read(HEAD_BYTES)
        inner = Source(member, path, member.stat().st_size, head, {})
        try:
            return read_source(inner, self._registry).records
        except InstrumentError as error:
            error.message = f"{path} is refused: {error.message}"
            error.file = source.name
            raise


def _unnamed_members(source: Source, document: Mapping[str, Any]) -> tuple[str, ...]:
    named = {
        FILE,
        *(
            str(document[key])
            for key in ("netlist", "patterns", "fails", "placement", "simulation", "layout", "delays")
            if isinstance(document.get(key), str)
        ),
    }
    named.update(str(probe["file"]) for probe in document["waveforms"])
    named |= map_files(document)
    extra = sorted(set(source.members) - named)
    return (f"{len(extra)} files are not named in {FILE} and were not read: {', '.join(extra[:5])}",) if extra else ()


def check_session(session: ProbingSession, name: str) -> None:
    """Check that the files of ``session`` fit together; ``name`` is the bundle's, for errors.

    Raises:
        CorruptField: they do not, with the first net, cycle or count that is wrong.
    """
    document = session.document
    cycles = document["stimulus"].get("cycles")
    if session.patterns is not None and cycles is not None and cycles != len(session.patterns.bits):
        message = "stimulus.cycles is not the number of patterns"
        raise CorruptField(message, file=name, expected=len(session.patterns.bits), found=cycles)
    if session.netlist is None:
        return
    netlist = session.netlist
    states = {gate.output: gate.inputs[0] for gate in netlist.gates if gate.function == "DFF"}
    nets = {*netlist.inputs, *(gate.output for gate in netlist.gates)}
    if session.patterns is not None:
        # Patterns without any flip-flop are a functional loop in which the flip-flops run by themselves.
        scanned = set(states) if set(states) & set(session.patterns.nets) else set()
        _compare(name, "patterns", set(session.patterns.nets), {*netlist.inputs, *scanned})
    if session.fails is not None:
        _check_fails(session, {*netlist.outputs, *states, *states.values()}, name)
    for probe in document["waveforms"]:
        if probe["net"] not in nets:
            raise CorruptField("a waveform is on a net that the netlist does not have", file=name, found=probe["net"])
    if session.placement is not None:
        unknown = next((net for net in session.placement.nets if net not in nets), None)
        if unknown is not None:
            raise CorruptField("the placement has a net that the netlist does not have", file=name, found=unknown)


def _compare(name: str, what: str, found: set[str], expected: set[str]) -> None:
    missing, extra = sorted(expected - found), sorted(found - expected)
    if missing or extra:
        net = (missing or extra)[0]
        problem = "lack the input" if missing else "have a column that is no input:"
        raise CorruptField(f"the {what} {problem} {net}", file=name, expected=len(expected), found=len(found))


def _check_fails(session: ProbingSession, outputs: set[str], name: str) -> None:
    if session.fails is None:
        return
    unknown = next((output for output in session.fails.outputs if output not in outputs), None)
    if unknown is not None:
        raise CorruptField("a fail is at an output that the netlist does not have", file=name, found=unknown)
    if session.patterns is not None and session.fails.cycles.size:
        last = int(session.fails.cycles.max())
        if last >= len(session.patterns.bits):
            message = "a fail is in a cycle that has no pattern"
            raise CorruptField(message, file=name, expected=len(session.patterns.bits) - 1, found=last)
