"""The demonstration's circuit, its machine, and the sessions that it writes."""

import json
from pathlib import Path

import numpy as np
import pytest

from instruments.records import ProbingSession
from services.demo.circuit import WIDTH, DemoGate, build_accumulator, place_in_rows
from services.demo.die import (
    DieOptions,
    SimulatedDie,
    list_hidden_faults,
    make_session,
    observed_nets,
    random_stimulus,
)
from services.demo.fab_files import (
    LIFETIMES,
    STRESS_TESTS,
    simulate_lot,
    write_inspection,
    write_layout,
    write_log,
    write_outcomes,
    write_readouts,
)
from services.demo.machine import HiddenFault, run
from services.demo.session_files import LABEL
from services.pipelines.ingestion.reading import open_sandbox, read_document
from services.pipelines.probing.localization import read_session

PATTERNS = 500
DEMO = build_accumulator()
STIMULUS = random_stimulus(DEMO, PATTERNS, 4)
VALUES = run(DEMO.gates, STIMULUS.packed, PATTERNS)


def word(names: str, pattern: int) -> int:
    """The number that the nets ``<names>0`` to ``<names>7`` hold in a pattern."""
    return sum((VALUES[f"{names}{bit}"] >> pattern & 1) << bit for bit in range(WIDTH))


def bit(net: str, pattern: int) -> int:
    return VALUES[net] >> pattern & 1


def test_it_adds_subtracts_and_decides_as_integers_do() -> None:
    seen = set()
    for pattern in range(PATTERNS):
        acc, data = word("acc", pattern), word("d", pattern)
        operand = data ^ (0xFF if bit("op2", pattern) else 0)
        total = acc + operand + bit("cin", pattern)
        choice = bit("op1", pattern) << 1 | bit("op0", pattern)
        seen.add(choice)
        expected = (total & 0xFF, acc & operand, acc | operand, acc ^ operand)[choice]
        assert word("y", pattern) == expected
        assert bit("carry", pattern) == total >> 8
        loaded = expected if bit("load", pattern) else acc
        assert word("nx", pattern) == (0 if bit("clear", pattern) else loaded)
        assert bit("eq", pattern) == int(acc == data)
        assert bit("gt", pattern) == int(acc > data)
        assert bit("zero", pattern) == int(expected == 0)
        assert bit("parity", pattern) == expected.bit_count() % 2
    assert seen == {0, 1, 2, 3}


def test_its_checksum_is_the_polynomial_division() -> None:
    for pattern in range(PATTERNS):
        state = sum(bit(f"crc{place}", pattern) << place for place in range(4))
        for place in range(WIDTH):
            feedback = state >> 3 & 1 ^ bit(f"y{place}", pattern)
            state = (state << 1 & 0xF) ^ (0b0011 if feedback else 0)
        assert sum(bit(f"crc_next{place}", pattern) << place for place in range(4)) == state


def test_it_has_some_hundred_gates_each_with_a_place_of_its_own() -> None:
    assert 150 <= len(DEMO.gates) <= 500
    places = place_in_rows(DEMO)
    assert len(set(places.values())) == len(places) == len(DEMO.gates) + len(DEMO.inputs)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (HiddenFault("y", "stuck-0"), 0b0000),
        (HiddenFault("y", "stuck-1"), 0b1111),
        (HiddenFault("y", "pin-stuck-1", 1), 0b0011),
        (HiddenFault("y", "pin-stuck-0", 0), 0b1111),
        (HiddenFault("y", "swap", function="NOR"), 0b0010),
        (HiddenFault("a", "stuck-1"), 0b1010),
    ],
)
def test_a_hidden_fault_does_what_its_name_says(fault: HiddenFault, expected: int) -> None:
    gates = [DemoGate("y", "NAND", ("a", "b"))]
    stimulus = {"a": 0b1100, "b": 0b0101}
    assert run(gates, stimulus, 4)["y"] == 0b1011
    assert run(gates, stimulus, 4, fault)["y"] == expected


def test_forced_nets_hold_whatever_drives_them() -> None:
    gates = [DemoGate("x", "NOT", ("a",)), DemoGate("y", "AND", ("x", "b"))]
    values = run(gates, {"a": 0b1100, "b": 0b0101}, 4, forced={"x": 0b1111})
    assert (values["x"], values["y"]) == (0b1111, 0b0101)


def test_a_loop_is_refused() -> None:
    with pytest.raises(ValueError, match="form a loop, or miss an input"):
        run([DemoGate("x", "NOT", ("y",)), DemoGate("y", "NOT", ("x",))], {}, 1)


def test_every_stratum_has_faults() -> None:
    for kind in ("stuck", "pin", "swap"):
        assert list_hidden_faults(DEMO, (kind,))


def test_an_intermittent_fault_fails_whole_cycles() -> None:
    permanent = SimulatedDie(DEMO, DieOptions(seed=1, fault=HiddenFault("c4", "stuck-0")))
    sometimes = SimulatedDie(DEMO, DieOptions(seed=1, fault=HiddenFault("c4", "stuck-0", activity=0.5)))
    always, seen = set(permanent.fails), set(sometimes.fails)
    assert seen < always
    cycles = {cycle for cycle, _ in seen}
    assert seen == {fail for fail in always if fail[0] in cycles}
    assert 0.3 < len(cycles) / len({cycle for cycle, _ in always}) < 0.7
    assert sometimes.does("c4") == pytest.approx(0.5 * (permanent.does("c4") + SimulatedDie(
        DEMO, DieOptions(seed=1, golden=True)).does("c4")))  # fmt: skip


def test_a_golden_die_passes() -> None:
    assert SimulatedDie(DEMO, DieOptions(golden=True)).fails == []


@pytest.fixture(scope="module")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("session")
    make_session(folder, DieOptions(seed=3))
    return folder


def test_the_session_is_one_that_instruments_read(session_folder: Path) -> None:
    session = read_session(session_folder)
    assert isinstance(session, ProbingSession)
    assert session.document["simulated"] is True
    assert session.netlist is not None
    assert len(session.netlist.gates) == len(DEMO.gates)
    assert session.patterns is not None
    assert session.patterns.bits.shape[0] == 256
    assert session.placement is not None
    assert session.fails is not None
    assert session.fails.cycles.size > 0
    assert len(session.waveforms) == 8
    assert set(session.fails.outputs) <= set(observed_nets(DEMO))


def test_the_truth_is_not_in_the_session(session_folder: Path, tmp_path: Path) -> None:
    """No file names the fault, and dies with other faults at the same net differ in measurements only."""
    faults = [HiddenFault("c4", "stuck-0"), HiddenFault("c4", "stuck-1")]
    documents = []
    for place, fault in enumerate(faults):
        folder = tmp_path / str(place)
        folder.mkdir()
        truth = make_session(folder, DieOptions(seed=3, fault=fault, probes=2))
        assert truth.net == "c4"
        text = "".join(path.read_text() for path in sorted(folder.iterdir()) if path.suffix != ".trc")
        assert not any(word in text for word in ("stuck", "truth", '"fault"', str(fault)))
        document = json.loads((folder / "session.json").read_text())
        documents.append({key: value for key, value in document.items() if key != "waveforms"})
    assert documents[0] == documents[1]


def test_every_oscilloscope_file_is_labelled_simulated(session_folder: Path) -> None:
    files = sorted(session_folder.glob("probe_*.trc"))
    assert len(files) == 8
    with open_sandbox() as sandbox:
        for path in files:
            document = read_document(path, None, sandbox)
            assert document["format"] == "lecroy-trc"
            assert LABEL in json.dumps(document)


def test_text_waveforms_are_labelled_too(tmp_path: Path) -> None:
    make_session(tmp_path, DieOptions(seed=3, file_format="csv", probes=2))
    for path in sorted(tmp_path.glob("probe_*.csv")):
        lines = path.read_text().splitlines()
        assert lines[:2] == [f"# {LABEL}", "time_s,reflectance"]
        assert len(lines) == 2 + 8192


def test_waveform_files_hold_what_was_measured(tmp_path: Path) -> None:
    options = DieOptions(seed=5, fault=HiddenFault("c4", "stuck-0"), probes=1)
    truth = make_session(tmp_path, options)
    twin = SimulatedDie(DEMO, options)
    twin.choose_probes()
    measured = twin.measure(truth.probes[0]).values
    (records,) = read_session(tmp_path).waveforms.values()
    step = np.ptp(measured) / 40_000
    error = records[0].values() - measured
    assert np.abs(error - error.mean()).max() < step
    assert abs(error.mean()) < np.finfo(np.float32).eps


def test_the_lots_of_the_fab_say_that_they_are_simulated_and_more_of_the_far_ones_come_back() -> None:
    lots = [simulate_lot(number) for number in range(2)]
    assert write_log(lots[0]) == write_log(simulate_lot(0)) != write_log(lots[1])
    assert "DTR:simulated: true" in write_log(lots[0])
    rows = [line.split(",") for line in write_outcomes(lots).splitlines()[2:]]
    assert len(rows) == sum(int((~lot.failed).sum()) for lot in lots)
    far = {f"{lot.name}-{die}" for lot in lots for die in lot.planted.tolist()}
    came_back = {row[0] for row in rows if row[2] == "failed"}
    assert len(came_back & far) / len(far) > 0.3
    assert len(came_back - far) / (len(rows) - len(far)) < 0.05


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("lot.atdf", write_log(simulate_lot(1)), "atdf"),
        ("returns.csv", write_outcomes([simulate_lot(1)]), "unit_evidence"),
        ("lifetimes.csv", LIFETIMES, "lifetimes"),
        ("stress-tests.csv", STRESS_TESTS, "lifetimes"),
        ("drift.csv", write_readouts(), "readouts"),
        ("wiring.klarf", write_inspection(), "klarf-1.2"),
        ("wiring.gds", write_layout(), "gdsii"),
    ],
)
def test_what_the_fab_uploads_is_read(tmp_path: Path, name: str, content: str | bytes, form: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with open_sandbox() as sandbox:
        assert read_document(path, None, sandbox)["format"] == form
