"""Unique keys of jobs: the same question has the same key, so asking twice gives one job and one result."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any


def make_key(algorithm: str, version: str, inputs: Sequence[str], parameters: Mapping[str, Any]) -> str:
    """Return the sha256 (hex) of an algorithm, its version, its inputs' hashes and its parameters."""
    document = {"algorithm": algorithm, "version": version, "inputs": list(inputs), "parameters": dict(parameters)}
    return hashlib.sha256(json.dumps(document, sort_keys=True, allow_nan=False).encode()).hexdigest()


def ingest_key(program_id: object, content_sha256: str, generation: str = "first") -> str:
    """Return the key of reading a file or bundle; ``generation`` names the set of adapters for a repeated reading."""
    return make_key("ingest", generation, [str(program_id), content_sha256], {})


def anomaly_key(suspect: tuple[object, str], golden: Sequence[tuple[object, str]], algorithm_version: str) -> str:
    """Return the key of comparing sessions; each is (id, content's sha256), the suspect's and the golden ones'."""
    inputs = [str(part) for session in (suspect, *sorted(golden, key=str)) for part in session]
    return make_key("anomaly", algorithm_version, inputs, {})


def averaging_key(
    probing_session_id: object, content_sha256: str, algorithm_version: str, parameters: Mapping[str, Any]
) -> str:
    """Return the key of judging the averaging of a probing session whose content has this hash."""
    return make_key("averaging", algorithm_version, [str(probing_session_id), content_sha256], parameters)


def localize_key(
    probing_session_id: object, content_sha256: str, algorithm_version: str, parameters: Mapping[str, Any]
) -> str:
    """Return the key of localizing the fault of a probing session whose content has this hash."""
    return make_key("localize", algorithm_version, [str(probing_session_id), content_sha256], parameters)


def simulation_key(
    probing_session_id: object, content_sha256: str, algorithm_version: str, parameters: Mapping[str, Any]
) -> str:
    """Return the key of simulating the good die of a probing session whose content has this hash."""
    return make_key("simulation", algorithm_version, [str(probing_session_id), content_sha256], parameters)


def reference_key(
    subject_id: object, content_sha256: str, algorithm_version: str, parameters: Mapping[str, Any]
) -> str:
    """Return the key of measuring the reference nodes of a probing session or file whose content has this hash."""
    return make_key("reference", algorithm_version, [str(subject_id), content_sha256], parameters)


def monitor_key(cause: object, algorithm_version: str) -> str:
    """Return the key of evaluating an instrument's charts after ``cause``: a job that made readings, or new limits."""
    return make_key("monitor", algorithm_version, [str(cause)], {})
