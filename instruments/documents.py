"""Records without samples as UTF-8 JSON documents, and back; and what a summary says of each kind."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from instruments.records import (
    DigitalTrace,
    FailLog,
    Gate,
    Netlist,
    PatternSet,
    Placement,
    ProbingSession,
    Raster,
    Record,
    Table,
    Waveform,
)

KINDS: dict[type[Any], str] = {
    Waveform: "waveform",
    DigitalTrace: "digital_trace",
    Netlist: "netlist",
    PatternSet: "pattern_set",
    FailLog: "fail_log",
    Placement: "placement",
    ProbingSession: "probing_session",
    Table: "table",
    Raster: "raster",
}


def kind_of(record: Record) -> str:
    """Return the name of the record's kind, for example ``digital_trace``."""
    return KINDS[type(record)]


def encode_document(record: Record) -> bytes:
    """Return a record without samples as a JSON document, a table as Parquet; a session without its files' records.

    Raises:
        TypeError: a waveform or a raster, whose samples are packed instead.
    """
    if isinstance(record, Waveform | Raster):
        raise TypeError(f"a {kind_of(record)} has no document; its samples are packed")
    if isinstance(record, Table):
        from instruments.table_codec import encode_table  # noqa: PLC0415 - most readings have no table: no pyarrow

        return encode_table(record, plain(record.vendor_metadata))
    common = {"name": record.name, "vendor_metadata": record.vendor_metadata, "warnings": list(record.warnings)}
    body = _BODIES[type(record)](record)
    return json.dumps(common | body, ensure_ascii=False, default=plain).encode("utf-8")


def _trace_body(record: DigitalTrace) -> dict[str, Any]:
    return {
        "identifier": record.identifier,
        "kind": record.kind,
        "width": record.width,
        "timescale_s": record.timescale_s,
        "ticks": record.ticks.tolist(),
        "values": list(record.values),
        "initial_ticks_offset": record.initial_ticks_offset,
    }


def _netlist_body(record: Netlist) -> dict[str, Any]:
    gates = [
        [gate.instance, gate.cell, gate.function, gate.output, list(gate.inputs), dict(gate.pins)]
        for gate in record.gates
    ]
    return {"inputs": list(record.inputs), "outputs": list(record.outputs), "gates": gates}


def _pattern_body(record: PatternSet) -> dict[str, Any]:
    rows = ["".join("1" if bit else "0" for bit in row) for row in record.bits]
    return {"nets": list(record.nets), "rows": rows}


def _fail_body(record: FailLog) -> dict[str, Any]:
    return {"cycles": record.cycles.tolist(), "outputs": list(record.outputs)}


def _placement_body(record: Placement) -> dict[str, Any]:
    return {
        "instances": list(record.instances),
        "nets": list(record.nets),
        "x_um": record.x_um.tolist(),
        "y_um": record.y_um.tolist(),
    }


def _session_body(record: ProbingSession) -> dict[str, Any]:
    return {"role": record.role, "document": record.document}


_BODIES: dict[type[Any], Callable[[Any], dict[str, Any]]] = {
    DigitalTrace: _trace_body,
    Netlist: _netlist_body,
    PatternSet: _pattern_body,
    FailLog: _fail_body,
    Placement: _placement_body,
    ProbingSession: _session_body,
}


def decode_document(kind: str, data: bytes) -> Record:
    """Return the record of ``kind`` that :func:`encode_document` wrote as ``data``.

    Raises:
        KeyError: there is no document of this kind.
    """
    if kind == KINDS[Table]:
        from instruments.table_codec import decode_table  # noqa: PLC0415

        return decode_table(data)
    document = json.loads(data)
    common = {
        "name": document["name"],
        "vendor_metadata": document["vendor_metadata"],
        "warnings": tuple(document["warnings"]),
    }
    return _DECODERS[kind](document, common)


def _decode_trace(document: Mapping[str, Any], common: Mapping[str, Any]) -> Record:
    return DigitalTrace(
        identifier=document["identifier"],
        kind=document["kind"],
        width=document["width"],
        timescale_s=document["timescale_s"],
        ticks=np.asarray(document["ticks"], np.int64),
        values=tuple(document["values"]),
        initial_ticks_offset=document["initial_ticks_offset"],
        **common,
    )


def _decode_netlist(document: Mapping[str, Any], common: Mapping[str, Any]) -> Record:
    gates = tuple(
        Gate(instance, cell, function, output, tuple(inputs), pins)
        for instance, cell, function, output, inputs, pins in document["gates"]
    )
    return Netlist(inputs=tuple(document["inputs"]), outputs=tuple(document["outputs"]), gates=gates, **common)


def _decode_patterns(document: Mapping[str, Any], common: Mapping[str, Any]) -> Record:
    nets = tuple(document["nets"])
    text = "".join(document["rows"])
    bits = (np.frombuffer(text.encode("ascii"), np.uint8) - ord("0")).reshape(len(document["rows"]), len(nets))
    return PatternSet(nets=nets, bits=bits, **common)


def _decode_fails(document: Mapping[str, Any], common: Mapping[str, Any]) -> Record:
    return FailLog(cycles=np.asarray(document["cycles"], np.int64), outputs=tuple(document["outputs"]), **common)


def _decode_placement(document: Mapping[str, Any], common: Mapping[str, Any]) -> Record:
    return Placement(
        instances=tuple(document["instances"]),
        nets=tuple(document["nets"]),
        x_um=np.asarray(document["x_um"], np.float64),
        y_um=np.asarray(document["y_um"], np.float64),
        **common,
    )


def _decode_session(document: Mapping[str, Any], common: Mapping[str, Any]) -> Record:
    return ProbingSession(
        role=document["role"],
        document=document["document"],
        netlist=None,
        patterns=None,
        fails=None,
        placement=None,
        simulation=(),
        waveforms={},
        **common,
    )


_DECODERS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Record]] = {
    "digital_trace": _decode_trace,
    "netlist": _decode_netlist,
    "pattern_set": _decode_patterns,
    "fail_log": _decode_fails,
    "placement": _decode_placement,
    "probing_session": _decode_session,
}


def range_of(record: Record) -> tuple[float | None, float | None]:
    """Return the smallest and largest value of a waveform, or of a raster whose bands have one unit; else ``None``s."""
    if isinstance(record, Waveform) or (isinstance(record, Raster) and len({band.unit for band in record.bands}) == 1):
        return record.minimum, record.maximum
    return None, None


def describe(record: Record) -> dict[str, Any]:
    """Return count, unit and ``meta`` of a record that is not a waveform; counts are of what ``unit`` names."""
    if isinstance(record, DigitalTrace):
        return _describe_trace(record)
    if isinstance(record, Netlist):
        kinds = [gate.function.partition(":")[0] for gate in record.gates]
        meta: dict[str, Any] = {
            "inputs": len(record.inputs),
            "outputs": len(record.outputs),
            "flip_flops": kinds.count("DFF"),
            "functions": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        }
        return {"count": len(record.gates), "unit": "gates", "meta": meta}
    if isinstance(record, PatternSet):
        return {"count": len(record.bits), "unit": "cycles", "meta": {"nets": len(record.nets)}}
    if isinstance(record, FailLog):
        return {"count": len(record.cycles), "unit": "failing bits", "meta": {"outputs": sorted(set(record.outputs))}}
    if isinstance(record, Placement):
        return {"count": len(record.nets), "unit": "drains", "meta": {"coordinates": "um"}}
    if isinstance(record, ProbingSession):
        waveforms = sum(len(items) for items in record.waveforms.values())
        return {"count": waveforms, "unit": "waveforms", "meta": {"role": record.role, "document": record.document}}
    if isinstance(record, Table):
        return {
            "kind": record.kind,
            "count": record.row_count,
            "unit": "rows",
            "meta": {"columns": dict(record.units)},
        }
    if isinstance(record, Raster):
        return _describe_raster(record)
    raise TypeError(f"{type(record).__name__} is summarized by its samples")


def _describe_raster(record: Raster) -> dict[str, Any]:
    meta = {
        "rows": record.rows,
        "columns": record.columns,
        "bands": {band.name: band.unit for band in record.bands},
        "dtype": record.samples.dtype.str,
        "pitch_x_m": record.pitch_x_m,
        "pitch_y_m": record.pitch_y_m,
        "frequency_hz": record.frequency_hz,
        "affine_um": record.affine_um,
    }
    return {"kind": record.kind, "count": record.rows * record.columns, "unit": "pixels", "meta": meta}


def _describe_trace(record: DigitalTrace) -> dict[str, Any]:
    scale = record.timescale_s
    first = int(record.ticks[0]) + record.initial_ticks_offset if record.ticks.size else None
    last = int(record.ticks[-1]) + record.initial_ticks_offset if record.ticks.size else None
    meta = {
        "identifier": record.identifier,
        "kind": record.kind,
        "width": record.width,
        "timescale_s": scale,
        "last_tick": last,
    }
    t0_s = first * scale if first is not None and scale is not None else None
    return {"count": int(record.ticks.size), "unit": "changes", "t0_s": t0_s, "meta": meta}


def plain(value: Any) -> Any:
    """Return ``value`` as what strict JSON can hold: NaN and infinity become text, numpy's numbers plain."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("latin-1").replace("\x00", "")
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    if value is None or isinstance(value, bool | int | float):
        return value
    return plain(str(value))
