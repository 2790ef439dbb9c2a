"""The records of a program as evidence: stored answers with their times, made into what they say of units."""

import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from db.repositories import unit_evidence
from db.repositories.tables import find_tables_of_files
from db.repositories.unit_evidence import KnownFile, ResultHead
from services.pipelines.context import JobContext, JobRefused
from services.pipelines.latent_risk import (
    drift_readings,
    mask_readings,
    part_readings,
    probe_readings,
    repair_readings,
)
from services.pipelines.latent_risk.evidence_assembly import Freeze
from services.pipelines.latent_risk.evidence_records import (
    MODALITIES_OF,
    EvidenceRecord,
    Frames,
    Origin,
    PrintedMask,
    Reading,
    digest_rule,
)
from services.pipelines.latent_risk.inspections import TWICE, Inspections, read_inspections
from services.pipelines.latent_risk.unit_identity import Claim
from services.pipelines.stored_scores import load_scores
from services.pipelines.table_job import load_stored

MOST_RESULTS = 5000
MOST_READINGS = 1_500_000
"""Of units in one assembly; about 1 kB each while it is made."""


@dataclass
class Gathered:
    """Records of units; ``shared_lots`` are names of lots that two products have; ``not_used`` says which and why."""

    records: list[EvidenceRecord] = field(default_factory=list)
    shared_lots: set[str] = field(default_factory=set)
    not_used: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Times:
    """Since when files are known, where a person says so: by file."""

    stated: Mapping[uuid.UUID, datetime]

    def of(self, head: ResultHead, files: Sequence[KnownFile | None]) -> tuple[datetime, bool]:
        """Return since when an answer is known, and whether that is stated.

        It is known since it was stored, unless a person states since when each of its files was: then since the last of
        these, as if it had been asked for at once.
        """
        times = [self.stated.get(each.id) if each is not None else None for each in files]
        known = [each for each in times if each is not None]
        if not times or len(known) < len(times):
            return head.created_at, False
        return max(known), True


@dataclass(frozen=True)
class Stated:
    """What a person says that files do not: frames of places, times of files, inspections of masks by file."""

    frames: Frames
    times: Times
    masks: Mapping[uuid.UUID, PrintedMask] = field(default_factory=dict)


class StoredEvidence:
    """Reads the answers of one program."""

    def __init__(self, context: JobContext, freeze: Freeze, stated: Stated) -> None:
        self.context = context
        self.program_id = context.claimed.program_id
        self.freeze = freeze
        self.frames = stated.frames
        self.times = stated.times
        self.masks = stated.masks
        self._of_masks: list[Callable[[list[Claim]], None]] = []
        self.gathered = Gathered()
        self._readers: dict[str, Callable[[Connection, ResultHead, _Made], None]] = {
            "screening": self._read_screening,
            "degradation": self._read_forecast,
            "anomaly": self._read_comparison,
            "overlay": self._read_overlay,
            "repair-outcome": self._read_repairs,
        }
        self._products: dict[str, set[str]] = defaultdict(set)
        self._readings = 0

    def gather(self, result_ids: Sequence[uuid.UUID]) -> Gathered:
        """Return what the answers of the program say, those of ``result_ids`` alone if there are any.

        Raises:
            JobRefused: a result that is named tells of no unit, or there are too many.
        """
        kinds = [kind for kind, of in MODALITIES_OF.items() if set(of) & set(self.freeze.modalities)]
        # An answer that was stored after the freeze counts where a person states when its files were known.
        until = None if self.times.stated else self.freeze.at
        with self.context.engine.connect() as connection:
            self.gathered.shared_lots |= set(unit_evidence.list_shared_lots(connection, self.program_id))
            chosen = unit_evidence.Chosen(self.program_id, tuple(kinds), until, tuple(result_ids))
            heads = unit_evidence.list_results(connection, chosen, MOST_RESULTS + 1)
            self._refuse_missing(heads, result_ids)
            files = self._find_files(connection, heads)
            for place, head in enumerate(heads):
                self.context.progress(0.05 + 0.6 * place / len(heads), f"{head.kind} {place + 1} of {len(heads)}")
                made = self._date(head, files)
                if made.known_at > self.freeze.at:
                    self._leave_out(head, f"known since {made.known_at.isoformat()}, after the freeze")
                    continue
                self._readers[head.kind](connection, head, made)
        claims = {reading.claim for record in self.gathered.records for reading in record.readings if reading.claim.die}
        for add in self._of_masks:
            add(sorted(claims, key=lambda claim: (claim.die or (), claim.serial)))
        self.gathered.shared_lots |= {lot for lot, products in self._products.items() if len(products) > 1}
        return self.gathered

    def _refuse_missing(self, heads: Sequence[ResultHead], wanted: Sequence[uuid.UUID]) -> None:
        known = {head.id for head in heads}
        missing = next((each for each in wanted if each not in known), None)
        if missing is not None:
            raise JobRefused(f"the result {missing} was not there at the freeze, or tells of no units")
        if len(heads) > MOST_RESULTS:
            raise JobRefused(f"more than {MOST_RESULTS} results tell of units: name the results (result_ids)")

    def _find_files(self, connection: Connection, heads: Sequence[ResultHead]) -> dict[str, KnownFile]:
        digests = {digest for head in heads for digest in head.provenance.get("inputs", ())}
        return unit_evidence.find_known_files(connection, self.program_id, sorted(digests))

    def _date(self, head: ResultHead, files: Mapping[str, KnownFile]) -> "_Made":
        inputs = tuple(str(each) for each in head.provenance.get("inputs", ()))
        found = [files.get(each) for each in inputs]
        known_at, stated = self.times.of(head, found)
        return _Made(known_at, stated, inputs, tuple(each.id for each in found if each is not None))

    def _leave_out(self, head: ResultHead, reason: str) -> None:
        self.gathered.not_used.append({"kind": head.kind, "id": str(head.id), "reason": reason})

    def _add(
        self,
        head: ResultHead,
        made: "_Made",
        about: tuple[str, tuple[str, ...], tuple[Any, ...]],
        readings: list[Reading],
    ) -> None:
        modality, features, rule = about
        if modality not in self.freeze.modalities:
            return
        version = head.provenance.get("algorithm_version")
        named = str(head.provenance.get("algorithm", head.kind))
        origin = Origin(
            modality=modality,
            kind=head.kind,
            result_id=str(head.id),
            version=named if version is None else f"{named}/{version}",
            known_at=made.known_at,
            stated=made.stated,
            simulated=head.simulated,
            rule=digest_rule(modality, features, *rule),
            features=features,
            inputs=made.inputs,
        )
        kept = [reading for reading in readings if self._may_count(reading.claim)]
        self._readings += len(kept)
        if self._readings > MOST_READINGS:
            raise JobRefused(f"stored answers say more than {MOST_READINGS} things of units: name fewer lots")
        self.gathered.records.append(EvidenceRecord(origin, kept))

    def _may_count(self, claim: Claim) -> bool:
        """Whether the unit may be of the lots, or helps to tell which lot a serial without one is of."""
        lots = self.freeze.lots
        return not lots or not claim.lot or claim.lot in lots or bool(claim.serial)

    def _scores_of(self, connection: Connection, head: ResultHead) -> dict[str, Any] | None:
        """Return what the answer says of the file of its scores, ``None`` where it has none, which is noted."""
        scores: dict[str, Any] = unit_evidence.read_body(connection, head.id, "scores") or {}
        if "blob_key" in scores:
            return scores
        why = "it was made before scores of all parts and units were kept: ask for it again"
        self._leave_out(head, str(scores.get("refused") or why))
        return None

    def _read_screening(self, connection: Connection, head: ResultHead, made: "_Made") -> None:
        scores = self._scores_of(connection, head)
        if scores is None:
            return
        self._note_products(connection, made)
        table = load_scores(self.context.blobs, scores)
        parts, around = part_readings.read_parts_scores(table, scores["places_from"], self.frames)
        provenance = dict(head.provenance)
        electrical = part_readings.rule_of_electrical(provenance, scores)
        neighbours = part_readings.rule_of_neighbourhood(provenance)
        self._add(head, made, ("electrical", part_readings.ELECTRICAL, electrical), parts)
        self._add(head, made, ("neighbourhood", part_readings.NEIGHBOURHOOD, neighbours), around)

    def _read_forecast(self, connection: Connection, head: ResultHead, made: "_Made") -> None:
        scores = self._scores_of(connection, head)
        if scores is None:
            return
        judged = unit_evidence.read_body(connection, head.id, "parameters")
        table = load_scores(self.context.blobs, scores)
        parameters = sorted({str(name) for name in table.columns["parameter"]})
        try:
            features = drift_readings.name_features(parameters)
        except ValueError as error:
            self._leave_out(head, str(error))
            return
        rule = drift_readings.rule_of_forecast(head.provenance, {"scores": scores, "parameters": judged})
        self._add(head, made, ("degradation", features, rule), drift_readings.read_unit_scores(table, parameters))

    def _note_products(self, connection: Connection, made: "_Made") -> None:
        """Note which product the tester's logs say a lot is of: one name for lots of two products names neither."""
        for stored in find_tables_of_files(connection, made.file_ids, ("test_run",)):
            run = load_stored(self.context, stored)
            for lot, product in zip(run.texts("lot_id"), run.texts("part_type"), strict=True):
                if lot and product:
                    self._products[lot].add(product)

    def _read_comparison(self, connection: Connection, head: ResultHead, made: "_Made") -> None:
        if head.probing_session_id is None:
            return
        units = unit_evidence.find_session_units(connection, [head.probing_session_id])
        unit = units.get(head.probing_session_id)
        if unit is None:
            self._leave_out(head, "its probing session does not name a unit")
            return
        claim = Claim(unit.lot or "", unit.wafer or "", unit.x, unit.y, unit.serial or "")
        reading = probe_readings.read_comparison(claim, unit_evidence.read_body(connection, head.id))
        rule = probe_readings.rule_of_comparison(head.provenance)
        self._add(head, made, ("lvp", probe_readings.FEATURES, rule), [reading])

    def _read_overlay(self, connection: Connection, head: ResultHead, made: "_Made") -> None:
        inspection_id = uuid.UUID(str(head.payload["question"]["inspection_file_id"]))
        found = self._load_inspections(connection, [inspection_id])
        for name in sorted(found.twice):
            self._leave_out(head, f"{name}: {TWICE}")
        document = unit_evidence.read_body(connection, head.id)
        version = f"overlay/{head.provenance.get('algorithm_version', '')}"
        steps = sorted({each.step for each in found.samples.values()})
        rule = (*mask_readings.rule_of_overlay(head.payload, document, version), steps)
        mask = self.masks.get(inspection_id)
        if mask is not None:
            self._keep_mask(head, made, (document, found, mask), rule)
            return
        readings = mask_readings.read_overlay(document, found, self.frames.get("inspection"))
        self._add(head, made, ("mask", mask_readings.FEATURES, rule), readings)

    def _keep_mask(
        self,
        head: ResultHead,
        made: "_Made",
        about: tuple[Mapping[str, Any], Inspections, PrintedMask],
        rule: tuple[Any, ...],
    ) -> None:
        """Remember what is known of a mask until all dies are known that it may have printed."""
        document, found, mask = about
        if len(found.samples) != 1 or found.twice:
            self._leave_out(head, "the inspection of a mask has several samples")
            return
        (inspection,) = found.samples.values()

        def add(printed: list[Claim]) -> None:
            dies = {claim.die: claim for claim in printed}.values()
            readings = mask_readings.read_mask(document, inspection, mask, dies)
            self._add(head, made, ("mask", mask_readings.FEATURES, (*rule, "mask")), readings)

        self._of_masks.append(add)

    def _read_repairs(self, connection: Connection, head: ResultHead, made: "_Made") -> None:
        digests = head.provenance.get("inputs_by_role", {}).get("defects", [])
        files = unit_evidence.find_known_files(connection, self.program_id, digests)
        found = self._load_inspections(connection, [each.id for each in files.values()])
        document = unit_evidence.read_body(connection, head.id)
        if any("defect_name" not in run for run in document["runs"]):
            self._leave_out(head, "it was made before its runs named their units: ask for it again")
            return
        rule = repair_readings.rule_of_outcomes(head.provenance)
        readings = repair_readings.read_outcomes(document, found, self.frames.get("inspection"))
        self._add(head, made, ("repair", repair_readings.FEATURES, rule), readings)

    def _load_inspections(self, connection: Connection, files: Sequence[uuid.UUID]) -> Inspections:
        stored = find_tables_of_files(connection, files, ("mask_defect",)) if files else []
        return read_inspections([load_stored(self.context, each).table for each in stored])


@dataclass(frozen=True)
class _Made:
    """Since when an answer is known, whether that is stated, and the files that it was made from."""

    known_at: datetime
    stated: bool
    inputs: tuple[str, ...]
    file_ids: tuple[uuid.UUID, ...]
