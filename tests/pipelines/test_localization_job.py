"""The job ``localize``: the stored session is put together again, the answer is stored once with its provenance."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from db.repositories import jobs
from db.schema.data import probing_session
from db.schema.files import raw_file
from db.schema.work import finding, job, result
from instruments.records import ProbingSession
from services.pipelines.context import DamagedRecord, JobContext, JobRefused
from services.pipelines.probing.localization import localize, read_session
from services.pipelines.probing.localization_job import Localize, localize_stored
from tests.analysis.localization.slow_path_dies import slow_die, write_slow_session
from tests.pipelines.bench import Bench, make_session, reader
from tests.workers.scenery import add_ingest, add_job, store_bundle

FILES = {"session.json": b"{}", "n.bench": b"n", "p.csv": b"p", "w.csv": b"w"}
ANSWER: dict[str, Any] = {
    "verdict": "located",
    "candidates": [
        {"net": "y", "fault": "y stuck-at-0", "posterior": 0.97},
        {"net": "a", "fault": "?", "posterior": 0.01},
    ],
    "unmodelled": 0.02,
    "waveforms": [{"net": "y", "p_faulty": 0.99, "snr": 2.5, "skew_ps": 3.0, "skew_sigma_ps": 1.0, "mixture": []}],
    "next_probes": [{"net": "a", "x_um": None, "y_um": None, "bits": 0.4, "seconds": 60}],
    "provenance": {"device": "cpu", "precision": "float64"},
}


class Answer:
    """A report with this document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def to_document(self) -> dict[str, Any]:
        return self._document


@pytest.fixture
def session_job(bench: Bench, program_id: uuid.UUID) -> uuid.UUID:
    """The job that localizes a stored session."""
    bundle_id = store_bundle(bench.engine, bench.blobs, program_id, "S-1", FILES)
    bench.ingest(add_ingest(bench.engine, program_id, {"bundle_id": str(bundle_id)}), reader(make_session()))
    (follower,) = [row.id for row in bench.rows(job) if row.kind == "localize"]
    return uuid.UUID(str(follower))


def answering(seen: list[ProbingSession]) -> Localize:
    def localize(
        session: ProbingSession, progress: Callable[[float, str], None], others: Sequence[ProbingSession]
    ) -> Answer:
        progress(0.5, "half way")
        seen.extend([session, *others])
        return Answer(ANSWER)

    return localize


def test_the_session_comes_back_as_it_was_read(bench: Bench, session_job: uuid.UUID) -> None:
    seen: list[ProbingSession] = []
    context = bench.claim(session_job)
    localize_stored(context, answering(seen))
    (session,) = seen
    original = make_session()
    assert (session.name, session.role, session.document) == (original.name, original.role, original.document)
    assert session.netlist == original.netlist
    assert original.patterns is not None
    assert session.patterns is not None
    assert session.patterns.nets == original.patterns.nets
    np.testing.assert_array_equal(session.patterns.bits, original.patterns.bits)
    assert (session.fails, session.placement, session.simulation) == (None, None, ())
    ((again,),) = session.waveforms.values()
    ((before,),) = original.waveforms.values()
    assert list(session.waveforms) == ["w.csv"]
    assert (again.segments, again.dt_s, again.gain, again.unit) == (
        before.segments,
        before.dt_s,
        before.gain,
        before.unit,
    )
    np.testing.assert_array_equal(again.values(), before.values())
    assert context.last_progress()[0] > 0.9


def test_the_result_has_findings_and_provenance(bench: Bench, session_job: uuid.UUID) -> None:
    context = bench.claim(session_job)
    bench.finish(context, localize_stored(context, answering([])))
    (stored,) = bench.rows(result)
    assert (stored.job_key, stored.job_id, stored.verdict) == (context.claimed.job_key, session_job, "located")
    assert (stored.body, stored.simulated) == (ANSWER, True)
    (session,) = bench.rows(probing_session)
    assert stored.probing_session_id == session.id
    assert stored.provenance["inputs"] == sorted(row.sha256 for row in bench.rows(raw_file))
    assert stored.provenance["adapters"] == {"adapter": "1"}
    assert (stored.provenance["device"], stored.provenance["simulated"]) == ("cpu", True)
    findings = {(row.kind, row.rank): row for row in bench.rows(finding)}
    assert set(findings) == {("suspect", 1), ("suspect", 2), ("waveform", 1), ("next_probe", 1)}
    assert (findings["suspect", 1].subject, findings["suspect", 1].probability) == ("y", 0.97)
    assert findings["suspect", 1].evidence == {"fault": "y stuck-at-0"}
    assert (findings["waveform", 1].probability, findings["waveform", 1].score) == (0.99, 2.5)
    assert findings["next_probe", 1].score == 0.4


def test_sessions_at_other_powers_go_into_the_answer_and_its_provenance(
    bench: Bench, session_job: uuid.UUID, program_id: uuid.UUID
) -> None:
    bundle_id = store_bundle(bench.engine, bench.blobs, program_id, "S-2", {k: v + b" " for k, v in FILES.items()})
    bench.ingest(add_ingest(bench.engine, program_id, {"bundle_id": str(bundle_id)}), reader(make_session()))
    first = str(bench.claim(session_job).claimed.payload["probing_session_id"])
    (other,) = [str(row.id) for row in bench.rows(probing_session) if str(row.id) != first]
    payload = {"probing_session_id": first, "at_power_session_ids": [other]}
    seen: list[ProbingSession] = []

    def ask(payload: dict[str, Any]) -> None:
        job_id = add_job(bench.engine, program_id, "localize", job_key=uuid.uuid4().hex, queue="cpu", payload=payload)
        context = bench.claim(job_id)
        bench.finish(context, localize_stored(context, answering(seen)))

    ask(payload)
    (stored,) = bench.rows(result)
    assert [session.name for session in seen] == ["S-1", "S-1"]
    assert str(stored.probing_session_id) == first
    assert set(stored.provenance["inputs"]) == {row.sha256 for row in bench.rows(raw_file)}
    with pytest.raises(JobRefused, match="no probing session"):
        ask(payload | {"at_power_session_ids": [str(uuid.uuid4())]})


def test_a_slow_path_is_told_through_the_job(bench: Bench, program_id: uuid.UUID, tmp_path: Path) -> None:
    """From a session's files to the stored finding, before any probe."""
    gates = ("p1", "t1", "c2")
    folder = tmp_path / "session"
    folder.mkdir()
    write_slow_session(folder, slow_die(gates, 0.6))
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    bundle_id = store_bundle(bench.engine, bench.blobs, program_id, "SLOW-1", files)
    bench.ingest(add_ingest(bench.engine, program_id, {"bundle_id": str(bundle_id)}), reader(read_session(folder)))
    (follower,) = [row.id for row in bench.rows(job) if row.kind == "localize"]
    context = bench.claim(follower)
    bench.finish(context, localize_stored(context, localize))
    (stored,) = bench.rows(result)
    first = stored.body["candidates"][0]
    assert stored.verdict == "ambiguous"  # no delay fault is located by the log alone
    assert first["net"] in gates
    assert first["net"] in first["fault"].removeprefix("PATH:").split(" > ")
    assert first["fault"].startswith("PATH:")
    (found,) = [row for row in bench.rows(finding) if (row.kind, row.rank) == ("suspect", 1)]
    assert (found.subject, found.evidence["fault"]) == (first["net"], first["fault"])


def test_damaged_samples_are_noticed(bench: Bench, session_job: uuid.UUID) -> None:
    (info,) = bench.blobs.list("records")
    bench.blobs.put_bytes(info.key, bytes(info.size_bytes))
    with pytest.raises(DamagedRecord, match="not those that were written"):
        localize_stored(bench.claim(session_job), answering([]))


def test_data_that_cannot_be_localized_are_refused(bench: Bench, session_job: uuid.UUID) -> None:
    def refuse(
        session: ProbingSession, progress: Callable[[float, str], None], others: Sequence[ProbingSession]
    ) -> Answer:
        raise ValueError("no pattern toggles the net")

    with pytest.raises(JobRefused, match="no pattern toggles"):
        localize_stored(bench.claim(session_job), refuse)
    assert bench.count(result) == 0


def test_an_unknown_session_is_refused(bench: Bench, session_job: uuid.UUID) -> None:
    context: JobContext = bench.claim(session_job)
    context.claimed.payload["probing_session_id"] = str(uuid.uuid4())
    with pytest.raises(JobRefused, match="no probing session"):
        localize_stored(context, answering([]))
    assert jobs.release(bench.engine, context.claimed)


def test_a_session_of_another_program_is_refused(bench: Bench, session_job: uuid.UUID) -> None:
    context: JobContext = bench.claim(session_job)
    own = context.claimed
    context.claimed = replace(own, program_id=uuid.uuid4())
    with pytest.raises(JobRefused, match="no probing session"):
        localize_stored(context, answering([]))
    assert jobs.release(bench.engine, own)
