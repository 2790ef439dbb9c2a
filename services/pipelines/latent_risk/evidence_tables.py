"""Tables of unit evidence as arrays: modalities by the names of their columns, times in seconds."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from analysis.latent_risk.evidence import FAILED, SURVIVED, UNKNOWN, Evidence, Modality
from services.pipelines.table_source import SourceTable, TableRefused

KIND = "unit_evidence"
_OUTCOMES = {"failed": FAILED, "survived": SURVIVED, "": UNKNOWN}


def make_evidence(sources: Sequence[SourceTable]) -> Evidence:
    """Return the units of all tables, one after another; a feature that a table lacks is missing there.

    Raises:
        TableRefused: a feature holds text or is in other units in another table, or there is no feature.
        analysis.latent_risk.evidence.BadEvidence: a unit's values are impossible.
    """
    units: dict[str, str] = {}
    for source in sources:
        for name in feature_columns(source):
            unit = source.table.units.get(name, "")
            if units.setdefault(name, unit) != unit:
                raise TableRefused(f"{source.file}: {name} is in {unit or 'no unit'}, elsewhere in {units[name]}")
    if not units:
        raise TableRefused("the tables have no feature of a modality, such as electrical.iddq")
    columns = {name: np.concatenate([source.numbers(name) for source in sources]) for name in units}
    judged = [text for source in sources for text in source.texts("judged_at")]
    known = [text for source in sources for text in source.texts("known_at")]
    time_s = _seconds(judged)
    known_s = _seconds(known)
    outcome = [_OUTCOMES[text] for source in sources for text in source.texts("outcome")]
    names = [text for source in sources for text in source.texts("unit_id")]
    return Evidence(
        tuple(names),
        time_s,
        np.asarray(outcome, np.int8),
        np.where(np.isfinite(known_s), known_s, time_s),
        _modalities(columns),
    )


def feature_columns(source: SourceTable) -> list[str]:
    """Return the columns of ``source`` that are features, ``modality.feature``, in their order."""
    return [name for name in source.table.columns if "." in name]


def _modalities(columns: dict[str, NDArray[np.float64]]) -> tuple[Modality, ...]:
    grouped: dict[str, list[str]] = {}
    for name in columns:
        grouped.setdefault(name.partition(".")[0], []).append(name)
    return tuple(
        Modality(
            modality,
            tuple(name.partition(".")[2] for name in names),
            np.stack([columns[name] for name in names], axis=1),
        )
        for modality, names in grouped.items()
    )


def _seconds(texts: list[str]) -> NDArray[np.float64]:
    return np.asarray([datetime.fromisoformat(text).timestamp() if text else np.nan for text in texts], np.float64)


def hash_evidence(evidence: Evidence) -> str:
    """Return the sha256 (hex) of all that a model can learn from: units, times, outcomes and values, in their order."""
    whole = hashlib.sha256("\0".join(evidence.units).encode())
    for array in (evidence.time_s, evidence.outcome, evidence.known_at_s):
        whole.update(np.ascontiguousarray(array).tobytes())
    for each in evidence.modalities:
        whole.update("\0".join((each.name, *each.features)).encode())
        whole.update(np.ascontiguousarray(each.values, "<f8").tobytes())
    return whole.hexdigest()
