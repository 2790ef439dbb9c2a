"""Evidence assembled from what is stored: files up, analyses run, a table made, a model learned, units scored."""

import json
import math
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from db.repositories import models
from db.repositories.models import Decision
from db.repositories.sweep import find_orphans
from db.schema.data import data_table
from db.schema.files import raw_file
from db.schema.models import model_version
from db.schema.work import finding, result
from instruments.electrical.atdf import AtdfAdapter
from instruments.electrical.unit_evidence import UnitEvidenceAdapter
from services.pipelines.context import JobRefused
from services.pipelines.latent_risk.risk_requests import TrainingRequest
from services.pipelines.versions import SCREENING_VERSION
from tests.pipelines.bench import Bench
from tests.pipelines.fab import Fab
from tests.pipelines.simulated_wafers import simulate_wafer, write_atdf
from tests.pipelines.test_latent_risk import Registry

FIRST = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def fab(bench: Bench, program_id: uuid.UUID, tmp_path: Path) -> Fab:
    return Fab(bench, program_id, tmp_path)


LOTS = 8


class Lots:
    """SIMULATED lots of one wafer each; a leakage far from the others' makes a failure in the field likelier.

    The last lot is not shipped yet. ``stated`` says since when the files were known.
    """

    def __init__(self, fab: Fab) -> None:
        self.stated: list[dict[str, Any]] = []
        self.screened: list[str] = []
        self.planted: set[str] = set()
        self.shipped = self.failed_test = 0
        numbers = np.random.default_rng(5)
        lines = ["# simulated: true", "unit_id,judged_at,outcome,known_at,lot_id,wafer_id,die_x,die_y"]
        for lot in range(LOTS):
            wafer = simulate_wafer(lot, "W1", planted=60, shift_sigmas=8.0)
            file_id = fab.upload(AtdfAdapter, f"lot{lot}.atdf", write_atdf([wafer], lot=f"L{lot}"))
            self.screened.append(str(fab.screen(file_id).id))
            tested = FIRST + timedelta(days=7 * lot)
            self.stated.append({"file_id": file_id, "known_at": tested})
            if lot == LOTS - 1:
                self.planted = {f"L{lot}/W1/{wafer.column[die]}/{wafer.row[die]}" for die in wafer.planted}
                break
            good = np.flatnonzero(~wafer.failed)
            self.failed_test += wafer.column.size - good.size
            for die in good:
                failed = numbers.uniform() < (0.5 if die in wafer.planted else 0.02)
                shipped = tested + timedelta(days=1, minutes=int(die))
                known = (shipped + timedelta(days=5)).isoformat()
                place = f"L{lot},W1,{wafer.column[die]},{wafer.row[die]}"
                word = "failed" if failed else "survived"
                lines.append(f"S{lot}-{die},{shipped.isoformat()},{word},{known},{place}")
        self.shipped = len(lines) - 2
        returns = fab.upload(UnitEvidenceAdapter, "returns.csv", "\n".join(lines) + "\n")
        self.stated.append({"file_id": returns, "known_at": FIRST})


def test_from_uploads_to_scores_that_name_their_sources(fab: Fab) -> None:
    lots = Lots(fab)
    shipped = [f"L{lot}" for lot in range(LOTS - 1)]
    made = fab.assemble(stated_times=lots.stated, lots=shipped)
    check_assembled(fab, made, lots)
    again = fab.assemble(stated_times=lots.stated, lots=shipped, freeze_at=made.body["freeze_at"])
    assert again.body["table"] == made.body["table"]
    assert len([row for row in fab.bench.rows(data_table) if row.kind == "unit_evidence"]) == 1

    registry = Registry(fab.bench, fab.program, fab.folder)
    question = TrainingRequest(trees=0).model_dump() | {"model": "field"}
    fab.perform("latent-risk-training", table_id=made.body["table"]["id"], question=question)
    (version,) = fab.bench.rows(model_version)
    registry.decide(models.promote, registry.caller("reliability"), version.id, Decision("a trial", override=True))

    asked = fab.assemble(stated_times=lots.stated, lots=[f"L{LOTS - 1}"]).body
    assert asked["counts"]["outcome_unknown"] == asked["counts"]["units"] > 200
    scored = fab.perform(
        "latent-risk-scoring",
        table_id=asked["table"]["id"],
        version_id=str(version.id),
        question={"model": "field", "version": 1},
    )
    suspects = scored.body["units"]
    assert len(suspects) == asked["counts"]["units"]
    worst = suspects[0]
    assert worst["sources"]["electrical"]["result"] == lots.screened[-1]
    assert worst["sources"]["lvp"]["missing"].startswith("none of its probing sessions")
    assert worst["log_odds"]["electrical"] > 0
    assert sum(each["unit"] in lots.planted for each in suspects[:60]) > 50
    assert scored.provenance["evidence_results"] == [lots.screened[-1]]
    told = next(row for row in fab.bench.rows(finding) if row.kind == "latent_risk" and row.rank == 1)
    assert told.evidence["sources"] == worst["sources"]


def check_assembled(fab: Fab, made: Any, lots: Lots) -> None:
    body, counts = made.body, made.body["counts"]
    assert (made.kind, made.verdict, made.simulated) == ("unit-evidence", "assembled", True)
    assert counts["failed"] + counts["survived"] == counts["units"] == lots.shipped
    assert counts["failed_their_test"] == lots.failed_test
    by_name = {each["modality"]: each for each in body["modalities"]}
    assert by_name["electrical"]["units"] == by_name["neighbourhood"]["units"] == counts["units"]
    assert [each["result"] for each in by_name["electrical"]["records"]] == lots.screened[:-1]
    assert by_name["lvp"]["missing"][0]["reason"].startswith("none of its probing sessions was compared")
    assert set(made.provenance["inputs"]) < {row.sha256 for row in fab.bench.rows(raw_file)}
    columns = fab.table(body)
    assert json.loads(columns["electrical_source"][0]) == {
        "kind": "screening",
        "result": lots.screened[0],
        "version": f"screening/{SCREENING_VERSION}",
        "known_at": FIRST.isoformat(),
    }
    assert columns["judged_at"] == sorted(columns["judged_at"])
    file = next(row for row in fab.bench.rows(raw_file) if str(row.id) == body["table"]["file_id"])
    assert (file.state, file.format, file.sha256) == ("stored", "unit_evidence", body["table"]["sha256"])
    scores = [row.body["scores"]["blob_key"] for row in fab.bench.rows(result) if row.kind == "screening"]
    with fab.bench.engine.connect() as connection:
        assert find_orphans(connection, [file.blob_key, *scores]) == set()


def test_nothing_after_the_freeze_is_used(fab: Fab) -> None:
    before = datetime.now(UTC)
    file_id = fab.upload(AtdfAdapter, "lot.atdf", write_atdf([simulate_wafer(1)]))
    first = fab.screen(file_id)
    between = datetime.now(UTC)
    second = fab.screen(file_id, sigmas=5.0)
    with pytest.raises(JobRefused, match="no unit has evidence that was known by"):
        fab.assemble(freeze_at=before)
    early = fab.assemble(freeze_at=between).body
    used = {each["result"] for modality in early["modalities"] for each in modality["records"]}
    assert used == {str(first.id)}
    late = fab.assemble().body
    electrical = late["modalities"][0]
    assert [each["result"] for each in electrical["records"]] == [str(second.id)]
    assert all(math.isfinite(value) for value in fab.table(late)["electrical.average_sigmas"])
