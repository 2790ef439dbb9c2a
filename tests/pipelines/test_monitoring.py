"""From a golden session to a chart, from a chart to an event: on a real database, through the real jobs."""

import math
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, delete, func, insert, update

from db.identifiers import uuid7
from db.repositories import charts, jobs
from db.schema.events import event, webhook_delivery
from db.schema.files import bundle, raw_file
from db.schema.monitoring import chart_baseline, control_chart, reference_reading
from db.schema.people import instrument
from db.schema.work import job, result
from db.unit_of_work import begin
from instruments.records import Gate, Netlist, PatternSet, ProbingSession, Record, Samples, Segment, Waveform
from services.pipelines import kinds
from services.pipelines.context import JobRefused
from tests.pipelines.bench import Bench, reader
from tests.webhooks.test_deliveries import subscribe
from tests.workers.scenery import add_ingest, add_job, store_bundle, store_original

CYCLE_S, DT_S, CYCLES = 1e-8, 2e-10, 64
DEFAULTS = {
    "rules": [1, 2, 5, 6],
    "ewma_weight": 0.2,
    "ewma_width": 2.962,
    "cusum_reference": 0.5,
    "cusum_decision": 5.0,
}


def make_bits() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 2, (CYCLES, 2)).astype(np.uint8)


def make_golden(seed: int, *, swing: float = 1.0, delay_s: float = 0.0, role: str = "golden", **changes: Any) -> Record:
    """A session of a good NAND with its two waveforms, of the swing and the delay that are asked for."""
    generator, bits = np.random.default_rng(seed), make_bits()
    out = 1 - (bits[:, 0] & bits[:, 1])
    times = np.arange(int(CYCLES * CYCLE_S / DT_S)) * DT_S

    def wave(name: str, values: np.ndarray) -> Waveform:
        levels = values[(np.floor((times - delay_s) / CYCLE_S).astype(int)) % CYCLES]
        samples = (swing * levels + generator.normal(0, 0.05, times.size)).astype("<f8")
        low, high = float(samples.min()), float(samples.max())
        return Waveform(name, Samples.of(samples), "", DT_S, (Segment(samples.size, 0.0),), low, high)

    document = {
        "schema": "faultlight.probing-session/1",
        "session": f"G-{seed}",
        "role": role,
        "technique": "LVP",
        "unit": {"product": "P1"},
        "laser": {"wavelength_nm": 1340, "power_mw": 0.1 + seed * 1e-6},
        "stimulus": {"cycle_s": CYCLE_S, "cycles": CYCLES, "averages": 1000},
        "netlist": "n.bench",
        "patterns": "p.csv",
        "waveforms": [{"file": "a.csv", "net": "a"}, {"file": "y.csv", "net": "y"}],
    } | changes
    gate = Gate("y", "NAND", "NAND", "y", ("a", "b"))
    return ProbingSession(
        name=f"G-{seed}",
        role=role,
        document=document,
        netlist=Netlist("n", ("a", "b"), ("y",), (gate,)),
        patterns=PatternSet("p", ("a", "b"), bits),
        fails=None,
        placement=None,
        simulation=(),
        waveforms={"a.csv": (wave("a", bits[:, 0]),), "y.csv": (wave("y", out),)},
    )


@pytest.fixture
def instrument_id(engine: Engine, program_id: uuid.UUID) -> uuid.UUID:
    identity = uuid7()
    with engine.begin() as connection:
        connection.execute(insert(instrument).values(id=identity, program_id=program_id, name="LVP-2", kind="lvp"))
    return identity


class Line:
    """An instrument that sends sessions, and workers that run whatever job waits."""

    def __init__(self, bench: Bench, program_id: uuid.UUID, instrument_id: uuid.UUID) -> None:
        self.bench, self.program_id, self.instrument_id = bench, program_id, instrument_id
        self.sent = 0

    def send(self, record: Record, *, sender: uuid.UUID | str | None = "self") -> uuid.UUID:
        """Store and ingest a bundle that holds ``record``; its id."""
        bench = self.bench
        self.sent += 1
        identity = store_bundle(bench.engine, bench.blobs, self.program_id, "S", {"a": b"%d" % self.sent})
        with bench.engine.begin() as connection:
            sender = self.instrument_id if sender == "self" else sender
            moment = func.now() - timedelta(days=1) + timedelta(minutes=self.sent)
            connection.execute(
                update(bundle).where(bundle.c.id == identity).values(instrument_id=sender, created_at=moment)
            )
        bench.ingest(add_ingest(bench.engine, self.program_id, {"bundle_id": str(identity)}), reader(record))
        return identity

    def work(self) -> list[str]:
        """Run every job that waits, but for localizations, which have their own tests; their kinds."""
        done = []
        while (claimed := jobs.claim_next(self.bench.engine, ["cpu"], "test", 60)) is not None:
            context = self.bench.context(claimed)
            run = kinds.run_nothing if claimed.kind == "localize" else kinds.handler(claimed.kind)
            self.bench.finish(context, run(context))
            done.append(claimed.kind)
        return done

    def charts(self) -> dict[tuple[str, str], Any]:
        return {(row.node, row.quantity): row for row in self.bench.rows(control_chart)}

    def until_now(self) -> Any:
        """The time after the last one that was sent and before the next."""
        return func.now() - timedelta(days=1) + timedelta(minutes=self.sent, seconds=30)

    def freeze(self, chart_id: uuid.UUID, **values: Any) -> uuid.UUID:
        """Ask for limits of all readings so far, as the API does."""
        with begin(self.bench.engine) as unit:
            given = {"to_at": func.now(), "state": "requested", "parameters": DEFAULTS, "requested_by": "account:ada"}
            identity = charts.insert_baseline(
                unit.connection, {**given, "program_id": self.program_id, "chart_id": chart_id, **values}
            )
        payload = {"instrument_id": str(self.instrument_id)}
        add_job(self.bench.engine, self.program_id, "monitor", queue="cpu", payload=payload)
        return identity


@pytest.fixture
def line(bench: Bench, program_id: uuid.UUID, instrument_id: uuid.UUID) -> Line:
    return Line(bench, program_id, instrument_id)


def test_a_golden_session_gives_readings_with_their_provenance(line: Line) -> None:
    bundle_id = line.send(make_golden(1, swing=2.0, delay_s=1e-9))
    assert line.work() == ["reference", "monitor"]
    found = line.charts()
    assert set(found) == {("laser", "laser_power")} | {
        (net, quantity) for net in ("a", "y") for quantity in ("amplitude", "snr", "edge_skew")
    }
    values = {row.chart_id: row for row in line.bench.rows(reference_reading)}
    measured = {key: values[row.id] for key, row in found.items()}
    assert measured["y", "amplitude"].value == pytest.approx(2.0, abs=0.05)
    assert measured["y", "snr"].value == pytest.approx(40.0 * math.sqrt(22), rel=0.25)
    assert measured["y", "edge_skew"].value == pytest.approx(900.0, abs=100.0)  # the step lies between two samples
    assert 0 < measured["y", "edge_skew"].sigma < 100
    assert measured["laser", "laser_power"].value == pytest.approx(0.100001)
    units = {key: row.unit for key, row in found.items()}
    assert (units["y", "edge_skew"], units["laser", "laser_power"]) == ("ps", "mW")
    assert found["y", "amplitude"].setup == {
        "product": "P1", "technique": "LVP", "wavelength_nm": 1340, "cycle_s": CYCLE_S, "cycles": CYCLES,
        "averages": 1000, "dt_s": DT_S,
    }  # fmt: skip
    (told,) = [row for row in line.bench.rows(result) if row.kind == "reference"]
    assert {row.result_id for row in values.values()} == {told.id}
    assert told.provenance["algorithm_version"] == "2"
    assert {row.bundle_id for row in values.values()} == {bundle_id}
    assert {row.state for row in found.values()} == {"collecting"}
    assert line.bench.count(event) == 0


def test_only_an_instruments_own_reference_nodes_are_measured(line: Line) -> None:
    line.send(make_golden(1), sender=None)
    suspect = make_golden(2, role="suspect")
    assert isinstance(suspect, ProbingSession)
    line.send(replace(suspect, netlist=None, patterns=None))
    assert line.work() == []
    line.bench.settings.reference_nets = "clk*, y"
    line.send(replace(suspect, netlist=None, patterns=None))
    assert line.work() == ["reference", "monitor"]
    assert {node for node, _ in line.charts()} == {"laser"}
    (told,) = line.bench.rows(result)
    assert told.body["not_measured"] == [
        {"node": "y", "quantity": "amplitude", "reason": "the simulation has no two-valued trace of this net"}
    ]
    line.send(suspect)
    assert sorted(line.work()) == ["localize", "monitor", "reference"]
    assert {node for node, _ in line.charts()} == {"laser", "y"}


def test_a_change_of_setup_is_another_chart_and_simulated_data_too(line: Line) -> None:
    stimulus = {"cycle_s": CYCLE_S, "cycles": CYCLES, "averages": 2000}
    for record in (make_golden(1), make_golden(2, stimulus=stimulus), make_golden(3, simulated=True)):
        line.send(record)
    line.work()
    rows = [row for row in line.bench.rows(control_chart) if (row.node, row.quantity) == ("y", "snr")]
    assert [(row.setup["averages"], row.simulated) for row in rows] == [(1000, False), (2000, False), (1000, True)]


def test_a_reading_that_is_repeated_replaces_and_keeps_its_id(line: Line) -> None:
    bundle_id = line.send(make_golden(1))
    line.work()
    before = {row.chart_id: row for row in line.bench.rows(reference_reading)}
    again = add_ingest(line.bench.engine, line.program_id, {"bundle_id": str(bundle_id)}, "second")
    line.bench.ingest(again, reader(make_golden(1, swing=3.0), version="2"))
    assert line.work() == ["reference", "monitor"]
    after = {row.chart_id: row for row in line.bench.rows(reference_reading)}
    assert {key: row.id for key, row in after.items()} == {key: row.id for key, row in before.items()}
    chart = line.charts()["y", "amplitude"]
    assert after[chart.id].value == pytest.approx(3.0, abs=0.05)
    assert (chart.evaluated_revision, chart.evaluation["points"][0]["value"]) == (chart.revision, after[chart.id].value)
    other = add_ingest(line.bench.engine, line.program_id, {"bundle_id": str(bundle_id)}, "third")
    line.bench.ingest(other, reader(make_golden(1, role="suspect"), version="3"))
    line.work()
    assert line.bench.count(reference_reading) == 0


def collect(line: Line, chart: tuple[str, str] = ("y", "amplitude"), count: int = 25) -> Any:
    for seed in range(count):
        line.send(make_golden(seed, swing=1.0 + 0.01 * math.sin(seed * 2.4)))
    line.work()
    return line.charts()[chart]


def test_drift_is_told_once_with_the_rule_that_fired(line: Line, program_id: uuid.UUID) -> None:
    engine = line.bench.engine
    secret = subscribe(engine, program_id, "http://receiver.example/", "instrument.out_of_control")
    chart = collect(line)
    assert (chart.state, chart.evaluation["baseline"], chart.evaluation["judged"]) == ("collecting", None, 0)
    baseline_id = line.freeze(chart.id, to_at=line.until_now())
    line.work()
    frozen = line.bench.rows(chart_baseline)[0]
    assert (frozen.state, frozen.count, frozen.requested_by) == ("frozen", 25, "account:ada")
    assert frozen.centre == pytest.approx(1.0, abs=0.02)
    assert line.bench.count(event) == 0
    line.send(make_golden(100, swing=1.0))
    line.work()
    assert line.charts()["y", "amplitude"].state == "in-control"
    for seed in (101, 102, 103):
        line.send(make_golden(seed, swing=0.6))
        line.work()
    (row,) = [item for item in line.bench.rows(event) if item.data["rule"] == "nelson-1"]
    assert (row.kind, row.subject_id, row.instrument_id) == (
        "instrument.out_of_control", chart.id, line.instrument_id,
    )  # fmt: skip
    assert (row.data["node"], row.data["quantity"], row.data["instrument"]) == ("y", "amplitude", "LVP-2")
    assert row.data["value"] == pytest.approx(0.6, abs=0.05)
    assert row.data["value"] < row.data["lower"] < frozen.centre
    assert row.data["baseline"] == {"id": str(baseline_id), "centre": frozen.centre, "sigma": frozen.sigma}
    rules = [item.data["rule"] for item in line.bench.rows(event)]
    assert len(rules) == len(set(rules)), "an excursion that lasts is told once"
    assert {"nelson-1", "ewma-low", "cusum-low"} <= set(rules)
    assert line.bench.count(webhook_delivery) == len(rules)
    assert secret
    shown = line.charts()["y", "amplitude"]
    assert shown.state == "out-of-control"
    document = shown.evaluation
    assert document["baseline"]["requested_by"] == "account:ada"
    assert [point["phase"] for point in document["points"]] == [1] * 25 + [2] * 4
    for drawn in document["charts"]:
        assert len(drawn["statistic"]) == len(drawn["upper"]) == len(document["points"])
        assert drawn["statistic"][:25] == [None] * 25
        assert None not in drawn["statistic"][25:]


def test_evaluating_again_and_at_once_tells_nothing_twice(line: Line) -> None:
    chart = collect(line)
    line.freeze(chart.id, to_at=line.until_now())
    line.work()
    line.send(make_golden(101, swing=0.6))
    assert [kind for kind in line.work() if kind != "reference"] == ["monitor"]
    told = line.bench.count(event)
    assert told > 0
    payload = {"instrument_id": str(line.instrument_id)}
    with line.bench.engine.begin() as connection:
        connection.execute(update(control_chart).values(revision=control_chart.c.revision + 1))
    pair = [line.bench.claim(add_job(line.bench.engine, line.program_id, "monitor", payload=payload)) for _ in "ab"]
    completions = [kinds.handler("monitor")(context) for context in pair]
    for context, completion in zip(pair, completions, strict=True):
        line.bench.finish(context, completion)
    assert line.bench.count(event) == told


def test_an_evaluation_of_what_is_no_longer_current_writes_nothing(line: Line) -> None:
    chart = collect(line, count=3)
    payload = {"instrument_id": str(line.instrument_id)}
    line.send(make_golden(7))
    (waiting,) = [row for row in line.bench.rows(job) if row.state == "queued"]
    assert waiting.kind == "reference"
    with line.bench.engine.begin() as connection:
        connection.execute(update(control_chart).values(revision=control_chart.c.revision + 1))
    stale = line.bench.claim(add_job(line.bench.engine, line.program_id, "monitor", payload=payload))
    completion = kinds.handler("monitor")(stale)
    line.work()
    newest = line.charts()["y", "amplitude"].evaluation
    line.bench.finish(stale, completion)
    assert line.charts()["y", "amplitude"].evaluation == newest
    assert newest["count"] == 4
    assert chart.evaluation["count"] == 3


def test_limits_that_cannot_be_estimated_are_refused_with_the_reason(line: Line) -> None:
    chart = collect(line, count=2)
    line.freeze(chart.id)
    line.work()
    (row,) = line.bench.rows(chart_baseline)
    assert (row.state, row.reason, row.frozen_at) == ("refused", "a baseline needs 3 values, there are 2", None)
    assert line.charts()["y", "amplitude"].state == "collecting"


def test_the_newest_frozen_limits_count(line: Line) -> None:
    chart = collect(line, count=6)
    early = line.until_now() - timedelta(minutes=2)
    line.freeze(chart.id, to_at=early)
    line.work()
    given = {"state": "frozen", "centre": 5.0, "sigma": 0.1, "method": "given", "to_at": early}
    line.freeze(chart.id, **given)
    line.work()
    shown = line.charts()["y", "amplitude"]
    assert (shown.state, shown.evaluation["judged"]) == ("out-of-control", 2)
    assert shown.evaluation["baseline"]["centre"] == 5.0
    assert {row.data["rule"] for row in line.bench.rows(event)} >= {"nelson-1"}


def test_frozen_limits_cannot_be_changed(line: Line) -> None:
    chart = collect(line, count=4)
    line.freeze(chart.id)
    line.work()
    with pytest.raises(Exception, match="chart_baseline is append-only"), line.bench.engine.begin() as connection:
        connection.execute(update(chart_baseline).values(centre=0.0))
    with line.bench.engine.begin() as connection:
        connection.execute(insert(event).values(
            id=uuid7(), program_id=line.program_id, kind="job.dead", event_key="k", subject_type="job",
            subject_id=uuid7(), data={}, occurred_at=func.now(),
        ))  # fmt: skip
    with pytest.raises(Exception, match="event is append-only"), line.bench.engine.begin() as connection:
        connection.execute(delete(event))


def make_scope(swing: float, *, seed: int = 0, delay_s: float = 0.0, **changes: Any) -> Waveform:
    times = np.arange(400) * 1e-9 - 1e-7
    noise = np.random.default_rng(seed).normal(0, 0.002, times.size)
    samples = (np.where(times >= delay_s, swing, 0.0) + noise).astype("<f8")
    low, high = float(samples.min()), float(samples.max())
    values = {"dt_s": 1e-9, "segments": (Segment(400, -1e-7),)} | changes
    return Waveform("MARK", Samples.of(samples), "V", minimum=low, maximum=high, **values)


def send_file(line: Line, *records: Record) -> None:
    line.sent += 1
    identity = store_original(line.bench.engine, line.bench.blobs, line.program_id, "m.trc", b"%d" % line.sent)
    with line.bench.engine.begin() as connection:
        mine = raw_file.c.id == identity
        connection.execute(update(raw_file).where(mine).values(instrument_id=line.instrument_id))
    ingest_id = add_ingest(line.bench.engine, line.program_id, {"raw_file_id": str(identity)})
    line.bench.ingest(ingest_id, reader(*records))


def test_a_timing_marker_outside_sessions_gives_its_edge(line: Line) -> None:
    line.bench.settings.reference_nets = "MARK"
    send_file(line, make_scope(0.5, delay_s=12e-9))
    assert line.work() == ["reference", "monitor"]
    values = {row.chart_id: row for row in line.bench.rows(reference_reading)}
    found = {key[1]: values[row.id] for key, row in line.charts().items()}
    assert set(found) == {"amplitude", "snr", "edge_position"}
    assert found["edge_position"].value == pytest.approx(11_500, abs=20)
    assert found["amplitude"].value == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (make_scope(0.5, dt_s=None), "the file does not say its sample interval or its trigger"),
        (make_scope(0.5, segments=(Segment(400, None),)), "the file does not say its sample interval or its trigger"),
        (make_scope(0.0), "are needed"),
        (make_scope(0.5, segments=(Segment(300, 0.0), Segment(100, 0.0))), "no repetitions"),
    ],
    ids=["no-dt", "no-t0", "no-swing", "segments"],
)
def test_what_cannot_be_measured_is_told_and_no_reading(line: Line, record: Waveform, reason: str) -> None:
    line.bench.settings.reference_nets = "MARK"
    send_file(line, record)
    line.work()
    (told,) = line.bench.rows(result)
    assert any(reason in item["reason"] for item in told.body["not_measured"])
    assert "edge_position" not in {quantity for _, quantity in line.charts()}


@pytest.mark.parametrize("payload", [{"probing_session_id": str(uuid.uuid4())}, {"raw_file_id": str(uuid.uuid4())}])
def test_a_job_about_nothing_is_refused(line: Line, payload: dict[str, str]) -> None:
    context = line.bench.claim(add_job(line.bench.engine, line.program_id, "reference", payload=payload))
    with pytest.raises(JobRefused):
        kinds.handler("reference")(context)
