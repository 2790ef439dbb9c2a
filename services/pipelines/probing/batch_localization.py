"""Many dies of one product from their fail logs: the same function for ``faultlight localize-batch`` and the worker."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.circuits.logic_simulation import Words, pack_patterns
from analysis.circuits.netlist import Circuit
from analysis.device import choose_device
from analysis.localization import die_triage, recurrence
from analysis.localization.die_triage import Progress, Triage, TriagedDie, triage_dies
from analysis.localization.recurrence import Recurrence
from instruments.documents import decode_document
from instruments.packing import PackedReading
from instruments.records import FailLog, ProbingSession
from instruments.sandbox import Sandbox
from services.pipelines.ingestion.reading import open_sandbox
from services.pipelines.probing.die_documents import Places, candidate_place
from services.pipelines.probing.localization import SessionError, parameters, read_session_in, to_circuit, to_sequential
from services.pipelines.probing.population_levels import name_die
from services.pipelines.probing.session_places import places_of
from services.pipelines.versions import BATCH_LOCALIZATION_VERSION

FALSE_DISCOVERY_RATE = 0.05
MEMBER_ABOVE = 0.5
"""Probability of having a recurring defect from which a die is named with it."""
MOST_ALONGSIDE = 50


@dataclass(frozen=True)
class Die:
    """A die of the batch: its name, its unit as the session says it, and its fail log."""

    name: str
    unit: dict[str, Any] | None
    fails: FailLog | None


def _silent(_fraction: float, _message: str) -> None:
    """Report to nobody."""


def localize_batch(
    product: ProbingSession,
    dies: Sequence[Die],
    *,
    false_discovery_rate: float = FALSE_DISCOVERY_RATE,
    device: str = "auto",
    progress: Progress = _silent,
) -> dict[str, Any]:
    """Return what each of ``dies`` is suspected of and which nets recur: ``faultlight localize-batch --json``.

    Netlist, patterns and placement are those of ``product``, in full-scan view. ``device`` is as in
    :func:`analysis.device.choose_device`; waveforms are not looked at.

    Raises:
        SessionError: something is missing or does not fit, or two entries are of one die.
        ValueError: the rate is not between 0 and 1, or there is no such device.
        analysis.circuits.netlist.CircuitError: the netlist cannot be simulated.
    """
    if not 0 < false_discovery_rate < 1:
        raise SessionError(f"a false-discovery rate is between 0 and 1, not {false_discovery_rate}")
    if not dies:
        raise SessionError("the batch has no die")
    _check_each_once(dies)
    chosen = choose_device(device)
    circuit, patterns = _product(product)
    logs = np.stack([_pack_log(die, circuit, len(patterns)) for die in dies])
    triage = triage_dies(circuit, patterns, logs, chosen, false_discovery_rate, progress)
    places = places_of(product)
    return {
        "verdict": "recurring" if triage.recurrences else "no-recurrence",
        "counts": dict(Counter(die.verdict for die in triage.dies)),
        "dies": [_die(*each, places) for each in zip(dies, triage.dies, strict=True)],
        "recurrences": [_recurrence(item, triage, dies, places) for item in triage.recurrences],
        "nets_asked": triage.nets_asked,
        "false_discovery_rate": false_discovery_rate,
        "simulated": bool(product.document.get("simulated", False)),
        "provenance": _provenance(product, chosen.type),
    }


def _check_each_once(dies: Sequence[Die]) -> None:
    """Refuse two entries of one die, with a :class:`SessionError`: its fails would recur by themselves."""
    seen: dict[str, str] = {}
    for die in dies:
        name = name_die(die.unit or {})
        if name is not None and name in seen:
            raise SessionError(f"{seen[name]} and {die.name} are of the same die ({name}): give it once")
        if name is not None:
            seen[name] = die.name


def die_of(session: ProbingSession) -> Die:
    """Return the die of ``session``."""
    return Die(session.name, session.document.get("unit"), session.fails)


def check_same_product(product: ProbingSession, other: ProbingSession) -> None:
    """Refuse ``other`` where its netlist or patterns are not those of ``product``, with a :class:`SessionError`."""
    if other.netlist is not None and product.netlist is not None:
        here, there = product.netlist, other.netlist
        if (here.gates, here.inputs, here.outputs) != (there.gates, there.inputs, there.outputs):
            raise SessionError(f"the session {other.name} has another netlist than {product.name}")
    if other.patterns is not None and product.patterns is not None:
        ours, theirs = product.patterns, other.patterns
        if ours.nets != theirs.nets or not np.array_equal(ours.bits, theirs.bits):
            raise SessionError(f"the session {other.name} has other patterns than {product.name}")
    names = [(session.document.get("unit") or {}).get("product") for session in (product, other)]
    if None not in names and names[0] != names[1]:
        raise SessionError(f"the session {other.name} is of the product {names[1]}, not of {names[0]}")


def localize_batch_paths(
    paths: Sequence[Path], false_discovery_rate: float = FALSE_DISCOVERY_RATE, device: str = "auto"
) -> dict[str, Any]:
    """Localize the dies at ``paths``: sessions, of which the first has netlist and patterns, and fail logs (CSV).

    Raises what reading and analysing raise, and :class:`FileNotFoundError`.
    """
    missing = next((path for path in paths if not path.exists()), None)
    if missing is not None:
        raise FileNotFoundError(f"there is no file {missing}")
    places = Counter(path.resolve() for path in paths)
    twice = next((path for path in paths if places[path.resolve()] > 1), None)
    if twice is not None:
        raise SessionError(f"{twice.name} is given twice")
    product: ProbingSession | None = None
    dies = []
    with open_sandbox() as sandbox:
        for path in paths:
            if path.is_file() and path.suffix.lower() == ".csv":
                dies.append(_read_log(sandbox, path))
                continue
            session = read_session_in(sandbox, path)
            product = product or session
            check_same_product(product, session)
            dies.append(die_of(session))
    if product is None:
        raise SessionError("the batch needs a probing session: a fail log says nothing of its netlist")
    return localize_batch(product, dies, false_discovery_rate=false_discovery_rate, device=device)


def _read_log(sandbox: Sandbox, path: Path) -> Die:
    with tempfile.TemporaryDirectory(prefix="faultlight-log-") as folder:
        reading: PackedReading = sandbox.read(path, path.name, Path(folder))
        if reading.format != "fails":
            raise SessionError(f"{path.name} is a {reading.format} file, no fail log (cycle,output)")
        (record,) = reading.records
        part = record.parts[0]
        data = reading.samples_path.read_bytes()[part.byte_offset : part.byte_offset + part.byte_length]
        log = decode_document(record.kind, data)
        assert isinstance(log, FailLog)
        return Die(path.stem, None, log)


def _product(session: ProbingSession) -> tuple[Circuit, Any]:
    """Return the circuit in full-scan view and its patterns, uint8 0/1 of shape ``(cycles, inputs)``."""
    if session.netlist is None or session.patterns is None:
        raise SessionError(f"the session {session.name} has no netlist and patterns: there are no suspects")
    if to_sequential(session.netlist, session.patterns) is not None:
        raise SessionError("batches are of full-scan patterns; these drive no flip-flop: localize each die alone")
    circuit = to_circuit(session.netlist, session.patterns)
    columns = {net: place for place, net in enumerate(session.patterns.nets)}
    missing = [circuit.nets[net] for net in circuit.inputs if circuit.nets[net] not in columns]
    if missing:
        raise SessionError(f"the patterns lack the input {missing[0]}")
    order = [columns[circuit.nets[net]] for net in circuit.inputs]
    return circuit, np.ascontiguousarray(session.patterns.bits[:, order])


def _pack_log(die: Die, circuit: Circuit, cycles: int) -> Words:
    """Return the failing bits of ``die``, packed: uint64 of shape ``(outputs, words)``; none where there is no log."""
    bits = np.zeros((cycles, len(circuit.outputs)), np.uint8)
    if die.fails is not None:
        for cycle, name in zip(die.fails.cycles.tolist(), die.fails.outputs, strict=True):
            if name not in circuit.output_number or not 0 <= cycle < cycles:
                raise SessionError(
                    f"the fail log of {die.name} names output {name} in cycle {cycle}, which the product does not have"
                )
            bits[cycle, circuit.output_number[name]] = 1
    return pack_patterns(bits)


def _die(die: Die, found: TriagedDie, places: Places) -> dict[str, Any]:
    return {
        "name": die.name,
        "unit": die.unit,
        "verdict": found.verdict,
        "suspects": [
            {
                "net": site.net,
                "fault": site.fault,
                "posterior": site.posterior,
                "resembling": site.resembling,
                "activity": site.activity,
                **candidate_place(site.net, places),
            }
            for site in found.suspects
        ],
        "no_fault": found.no_fault,
        "unmodelled": found.unmodelled,
        "bits": found.bits,
        "credible_sites": found.credible_sites,
        "failing_bits": found.failing_bits,
        "failing_cycles": found.failing_cycles,
    }


def _recurrence(item: Recurrence, triage: Triage, dies: Sequence[Die], places: Places) -> dict[str, Any]:
    order = np.argsort(-item.members, kind="stable")
    return {
        "net": triage.nets[item.net],
        **candidate_place(triage.nets[item.net], places),
        "log10_e": item.log10_e,
        "part": item.part,
        "dies": item.dies,
        "by_chance": item.by_chance,
        "members": [
            {
                "die": int(triage.failing[place]),
                "name": dies[int(triage.failing[place])].name,
                "probability": float(item.members[place]),
            }
            for place in order.tolist()
            if item.members[place] >= MEMBER_ABOVE
        ],
        "alongside": [triage.nets[net] for net in item.alongside[:MOST_ALONGSIDE]],
    }


def _provenance(product: ProbingSession, device: str) -> dict[str, Any]:
    kept = (
        "prior_no_fault",
        "class_priors",
        "activities",
        "activity_prior",
        "false_fail",
        "missed_fail",
        "stray_prior",
    )
    every = parameters()
    return {
        "algorithm": "posterior of fail logs over static single faults and weak opens; e-values of recurring nets",
        "algorithm_version": BATCH_LOCALIZATION_VERSION,
        "parameters": {
            **{name: every[name] for name in kept},
            "outside": die_triage.OUTSIDE,
            "recurrence_parts": list(recurrence.PARTS),
            "member_above": MEMBER_ABOVE,
            "credible": die_triage.CREDIBLE,
        },
        "conventions": {
            "posterior": "as a localization begins, but delay faults, bridges and pairs of faults count as unmodelled",
            "resembling": "of a defect of another sort that looks most like a fault of this site, or shows through it",
            "located": "by the fail log alone: no final verdict; a localization with waveforms goes on",
            "no-fails": "the log is empty: the die passed, or its log is unknown; nothing was concluded from it",
            "by_chance": "dies if every detected fault of the netlist were as likely as the prior says, on every die",
            "log10_e": "of the e-value against that chance; expected value at most 1 without a systematic defect",
            "false_discovery_rate": "mean part of the nets named, alongside ones too, that are there by chance",
            "alongside": "recurs too, but not beyond what the net explains: these logs do not tell them apart",
        },
        "session": product.name,
        "device": device,
        "precision": "counts int64, probabilities float64",
    }
