"""The assembled units as a file of unit evidence, which training and scoring read as any other, and what is told of it.

Each modality has a column ``<modality>_source``: JSON that names the result its values come from, with version and
since when it was known, or says why they are missing.
"""

import io
import json
import math
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from instruments.electrical.unit_evidence import SOURCE_SUFFIX
from services.pipelines.latent_risk.evidence_assembly import AssembledUnit, Assembly, Cell
from services.pipelines.latent_risk.evidence_records import Origin, words

_MOST_REASONS = 20


def write_assembly(assembly: Assembly, *, simulated: bool) -> bytes:
    """Return the Parquet file; the same assembly gives the same bytes."""
    units = assembly.units
    arrays: dict[str, pa.Array] = {
        "unit_id": _texts([unit.name.text for unit in units]),
        "judged_at": _texts([words(unit.judged_at) for unit in units]),
        "outcome": _texts([_outcome(unit) for unit in units]),
        "known_at": _texts([words(unit.known_at) if unit.known_at is not None else "" for unit in units]),
        "lot_id": _texts([unit.name.lot for unit in units]),
        "wafer_id": _texts([unit.name.wafer for unit in units]),
        "die_x": _places([unit.name.x if unit.name.wafer else None for unit in units]),
        "die_y": _places([unit.name.y if unit.name.wafer else None for unit in units]),
    }
    for modality, features in assembly.features.items():
        for place, feature in enumerate(features):
            values = [_value(unit.cells[modality], place) for unit in units]
            arrays[f"{modality}.{feature}"] = pa.array(np.asarray(values, np.float64))
    for modality in units[0].cells:
        arrays[f"{modality}{SOURCE_SUFFIX}"] = _texts([_source(unit.cells[modality]) for unit in units])
    failed = sum(unit.failed is True for unit in units)
    about = {"failed": str(failed), "simulated": "true" if simulated else "false"}
    sink = io.BytesIO()
    pq.write_table(pa.table(arrays).replace_schema_metadata(about), sink, compression="zstd")
    return sink.getvalue()


def _texts(values: list[str]) -> pa.Array:
    return pa.array(values, pa.string())


def _places(values: list[int | None]) -> pa.Array:
    return pa.array([math.nan if value is None else float(value) for value in values], pa.float64())


def _outcome(unit: AssembledUnit) -> str:
    return "" if unit.failed is None else "failed" if unit.failed else "survived"


def _value(cell: Cell, place: int) -> float:
    return cell.values[place] if cell.values else math.nan


def _source(cell: Cell) -> str:
    found = cell.origin.describe() if cell.origin is not None else {"missing": cell.reason}
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False)


def describe_assembly(assembly: Assembly) -> dict[str, Any]:
    """Return counts, what each modality's values come from and why they are missing, and what was refused."""
    outcomes = Counter(_outcome(unit) or "unknown" for unit in assembly.units)
    return {
        "counts": {
            "units": len(assembly.units),
            "failed": outcomes["failed"],
            "survived": outcomes["survived"],
            "outcome_unknown": outcomes["unknown"],
            "failed_their_test": assembly.failed_test,
            "outcome_without_evidence": len(assembly.without_evidence),
        },
        "judged": {"from": words(assembly.units[0].judged_at), "to": words(assembly.units[-1].judged_at)},
        "modalities": [_describe_modality(assembly, name) for name in assembly.units[0].cells],
        "outcome_without_evidence": assembly.without_evidence[:_MOST_REASONS],
        "refused": [
            {"what": kind, "times": times, "examples": assembly.refusals.examples[kind]}
            for kind, times in sorted(assembly.refusals.counts.items())
        ],
    }


def _describe_modality(assembly: Assembly, name: str) -> dict[str, Any]:
    cells = [unit.cells[name] for unit in assembly.units]
    used: Counter[Origin] = Counter(cell.origin for cell in cells if cell.origin is not None)
    missing = Counter(cell.reason for cell in cells if cell.origin is None)
    ordered = sorted(used.items(), key=lambda each: (each[0].known_at, each[0].result_id))
    return {
        "modality": name,
        "features": list(assembly.features.get(name, ())),
        "units": sum(used.values()),
        "records": [
            origin.describe() | {"time_stated": origin.stated, "simulated": origin.simulated, "units": count}
            for origin, count in ordered
        ],
        "missing": [{"reason": reason, "units": count} for reason, count in missing.most_common(_MOST_REASONS)],
        "missing_units": sum(missing.values()),
    }


def used_origins(assembly: Assembly) -> list[Origin]:
    """Return the origins of all values, in the order of their ids."""
    found = {cell.origin for unit in assembly.units for cell in unit.cells.values() if cell.origin is not None}
    return sorted(found, key=lambda each: (each.result_id, each.modality))
