"""Every real sample file, from its upload to stored rows with the counts of the manifest, or to quarantine.

The counts are those that independent readers gave (``MANIFEST.csv``); where one of them is known to be wrong, its
notes say so and the file's own arithmetic counts.
"""

import csv
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from db.schema.data import data_table, digital_trace, raster, waveform
from db.schema.files import bundle, raw_file
from instruments.registry import Registry
from services.pipelines.ingestion.ingest import run
from tests.api.conftest import (  # noqa: F401
    Api,
    api,
    quiet_logs,
    settings,
    sha256,
    shared_app,
    start_api,
)
from tests.pipelines.bench import Bench


@dataclass(frozen=True)
class Wave:
    """One stored waveform: samples in all segments, and what describes them (``None``: unknown)."""

    count: int
    unit: str
    dt_s: float | None
    t0_s: float | None
    minimum: float
    maximum: float
    segments: int = 1
    kind: str = "waveform"


@dataclass(frozen=True)
class Traces:
    """Stored value changes: signals, and changes over all of them."""

    signals: int
    changes: int


@dataclass(frozen=True)
class Tables:
    """Stored tables: their rows, in the file's order."""

    rows: tuple[int, ...]


@dataclass(frozen=True)
class Picture:
    """One stored image of one band."""

    rows: int
    columns: int
    minimum: float
    maximum: float


@dataclass(frozen=True)
class Refused:
    """What a refusal must say, among the reasons."""

    words: str


Expected = tuple[Wave, ...] | Traces | Tables | Picture | Refused

FILES: dict[str, Expected] = {
    "fst/icarus__CPU.vcd.fst": Traces(274, 10266),
    "fst/nvc__manytypes2.fst": Traces(32, 85),
    "fst/verilator__basic_test.fst": Traces(7, 32),
    "keysight_bin/agilent_1.bin": (Wave(2000, "V", 5e-7, -0.00050006316, -2.090452, 1.929648),),
    "keysight_bin/agilent_3.bin": (
        Wave(4000, "V", 5e-10, -1e-6, -2.874372, 2.753769),
        Wave(4000, "V", 5e-10, -1e-6, -1.61809, 1.59799),
    ),
    "klarf/bad12.klarf": Refused("there is no DefectList of anotherWafer"),
    "klarf/klarf12Example.klarf": Tables((2,)),
    "klarf/simple12.klarf": Tables((1,)),
    "klarf/simple18.klarf": Tables((3, 1)),
    "lecroy_trc/lecroy_1.trc": Refused("the file ends before its arrays do at byte 357 (expected 804357, found 357)"),
    "lecroy_trc/lecroy_3.trc": (Wave(10040, "V", 9.99999972e-10, -3.64579368e-07, -1.431903, 2.567937, 20),),
    "lecroy_trc/lecroy_4.trc": (Wave(502, "V", 9.99999972e-10, -1.20745007e-07, -1.335907, 2.50394),),
    "lecroy_trc/trace1.000": (Wave(5002, "V", 9.99999972e-10, -1.5702242e-06, -2.420691, -2.331726),),
    "rigol_bin/MSO5000-A.bin": (
        Wave(1000, "V", 4.99999987e-06, -0.00249999994, 0, 3.255235),
        Wave(1000, "V", 4.99999987e-06, -0.00249999994, -0.559328, 0.519376),
        Wave(1000, "V", 4.99999987e-06, -0.00249999994, -0.5191561, 0.5191561),
        Wave(1000, "V", 4.99999987e-06, -0.00249999994, 0, 3.15616),
    ),
    "rigol_bin/MSO5074-A.bin": Refused("several exports follow one another and their headers hold wrong counts"),
    "rigol_csv/DS1054Z-A.csv": (
        Wave(1200, "V", 5e-10, -3e-7, 2.0, 4.08),
        Wave(1200, "V", 5e-10, -3e-7, 0.88, 1.2),
        Wave(1200, "V", 5e-10, -3e-7, -0.4, 3.6),
        Wave(1200, "V", 5e-10, -3e-7, -1.2, 3.4),
    ),
    "rigol_csv/DS1102E-B.csv": (Wave(600, "V", 2e-8, -6e-6, -1.36, 4.48),),
    "rigol_wfm/DS1054Z-A.wfm": (
        Wave(278, "V", 4e-9, -5.56e-07, 2, 4.1),
        Wave(278, "V", 4e-9, -5.56e-07, 0.48, 1.38),
        Wave(278, "V", 4e-9, -5.56e-07, -0.6000001, 3.4),
        Wave(278, "V", 4e-9, -5.56e-07, -3.890001, -0.1400013),
    ),
    "rigol_wfm/DS1102D-A.wfm": (
        Wave(1024, "V", 1e-5, -0.004688, 0.08, 4.88),
        Wave(1024, "V", 1e-5, -0.004688, -0.08, 3.12),
    ),
    "rs_bin/rs_rtp_01.Wfm.bin": Refused("these are samples without their settings"),
    "rs_bin/rs_rtp_01.bin": Refused("these are settings without samples"),
    "rs_csv/rs_rtp_01.Wfm.csv": (Wave(4000, "unknown", None, None, -0.06324111, 1.075099),),
    "sem_tiff/FEI-Helios-Ebeam-8bits.tif": Picture(471, 512, 0, 255),
    "sem_tiff/tescan_example_sem1.tif": Picture(888, 1024, 0, 65535),
    "sem_tiff/zeiss_example_sem.tif": Picture(768, 1024, 0, 255),
    # A run and a wafer, FAR and WIR alone.
    "stdf/semiate_test.stdf": Tables((1, 1)),
    "tdms/raw1.tdms": tuple(
        Wave(2000, "Volts", 2e-5, 0, low, high)
        for low, high in (
            (-0.29725, 0.414747),
            (0.550859, 1.25431),
            (1.39073, 2.09967),
            (2.21656, 2.92062),
            (3.03964, 3.72051),
            (3.80139, 4.5027),
            (4.55519, 5.24857),
        )
    ),
    "tek_csv/digital_waveform.csv": (
        Wave(2500, "logic level", 4e-11, -1249.05078125 * 4e-11, 0, 255, kind="digital_lines"),
    ),
    "tek_csv/invalid_csv.csv": Refused("the Tektronix header has no Sample Interval"),
    # An envelope: 10 000 codes are 5000 pairs. RigolWFM takes them for 10 000 points.
    "tek_isf/data1.isf": (
        Wave(5000, "V", 2e-6, -0.00128, -2.56, 0.071015625, kind="envelope_min"),
        Wave(5000, "V", 2e-6, -0.00128, -2.559921875, 2.559922, kind="envelope_max"),
    ),
    "tek_wfm/analog_waveform.wfm": (Wave(50000, "V", 4e-11, -1e-6, -0.152, 0.144),),
    "tek_wfm/digital_waveform.wfm": (Wave(2500, "logic level", 4e-11, -5e-8, 0, 255, kind="digital_lines"),),
    "tek_wfm/golden_analog.wfm": (Wave(6, "V", 1, -3, 0.000305185095, 0.983428449),),
    "tek_wfm/invalid_tekmeta.wfm": Refused("the block of notes after the curve cannot be read"),
    "vcd/ghdl__alu.vcd": Traces(25, 590),
    "vcd/icarus__counter_tb.vcd": Traces(8, 90),
    # 15 tokens, one of which asserts a value again.
    "vcd/migen__fractional_time_stamp.vcd": Traces(4, 14),
    "vcd/model-sim__clkdiv2n_tb.vcd": Traces(11, 184),
    "vcd/nvc__manytypes2.vcd": Traces(32, 85),
    "vcd/questa-sim__test.vcd": Traces(26, 520),
    "vcd/verilator__vlt_dump.vcd": Traces(736, 3716),
    "vcd/wikipedia__example.vcd": Traces(7, 17),
}
PAIR: tuple[Wave, ...] = (Wave(4000, "V", 1.25e-06, -0.0025, -0.06324111, 1.075099),)
"""rs_rtp_01.bin and rs_rtp_01.Wfm.bin together."""


@pytest.mark.shared_data
def test_the_table_has_every_file_of_the_manifest(shared_data: Path) -> None:
    with (shared_data / "formats" / "MANIFEST.csv").open(newline="") as file:
        listed = {row["file"]: row["sha256"] for row in csv.DictReader(file)}
    assert set(listed) == set(FILES)
    for name, digest in listed.items():
        assert sha256((shared_data / "formats" / name).read_bytes()) == digest, name


@pytest.mark.shared_data
def test_every_sample_goes_from_upload_to_rows_or_quarantine(api: Api, shared_data: Path) -> None:  # noqa: F811
    bench = Bench(api.engine, api.state.blobs, api.state.settings)
    problems = {}
    for name, expected in FILES.items():
        sent = api.upload((shared_data / "formats" / name).read_bytes(), name.rpartition("/")[2])
        assert sent.status_code == 204, sent.text
        context = bench.claim(uuid.UUID(sent.headers["Faultlight-Job"]))
        bench.finish(context, run(context))
        found = list(_differences(api, uuid.UUID(sent.headers["Faultlight-Raw-File"]), expected))
        if found:
            problems[name] = found
    assert problems == {}


@pytest.mark.shared_data
def test_a_pair_of_files_goes_from_a_bundle_to_rows(api: Api, shared_data: Path) -> None:  # noqa: F811
    names = ("rs_rtp_01.bin", "rs_rtp_01.Wfm.bin")
    files = {name: (shared_data / "formats" / "rs_bin" / name).read_bytes() for name in names}
    members = [{"path": path, "sha256": sha256(data), "size_bytes": len(data)} for path, data in files.items()]
    declared = api.call("POST", "/bundles", json={"program": "alpha", "name": "rtp", "members": members}).json()
    for path, data in files.items():
        sent = api.upload(data, path, bundle=declared["id"], path=path)
        assert sent.status_code == 204, sent.text
    bench = Bench(api.engine, api.state.blobs, api.state.settings)
    context = bench.claim(uuid.UUID(sent.headers["Faultlight-Job"]))
    bench.finish(context, run(context))
    with api.engine.connect() as connection:
        assert connection.execute(select(bundle.c.state)).scalars().all() == ["stored"]
        rows = connection.execute(select(waveform)).all()
    assert list(_compare_waves(rows, PAIR)) == []


def _differences(api: Api, file_id: uuid.UUID, expected: Expected) -> Any:  # noqa: F811
    with api.engine.connect() as connection:
        file = connection.execute(select(raw_file).where(raw_file.c.id == file_id)).one()

        def rows(table: Any) -> list[Any]:
            chosen = select(table).where(table.c.raw_file_id == file_id).order_by(table.c.record_index, table.c.id)
            return list(connection.execute(chosen).all())

        waves, traces, tables, rasters = rows(waveform), rows(digital_trace), rows(data_table), rows(raster)
    if isinstance(expected, Refused):
        yield from _check_quarantine(file, expected)
        if waves or traces or tables or rasters:
            yield "a quarantined file has records"
        return
    if file.state != "stored":
        yield file.state, file.quarantine_reasons
        return
    if isinstance(expected, Traces):
        found = (len(traces), sum(row.summary["count"] for row in traces))
        if found != (expected.signals, expected.changes) or waves or tables or rasters:
            yield found
    elif isinstance(expected, Tables):
        found = tuple(row.row_count for row in tables)
        if found != expected.rows or waves or traces or rasters:
            yield found
    elif isinstance(expected, Picture):
        images = [(row.row_count, row.column_count, row.minimum, row.maximum) for row in rasters]
        if images != [(expected.rows, expected.columns, expected.minimum, expected.maximum)] or waves or traces:
            yield images
    elif isinstance(expected, tuple):
        yield from _compare_waves(waves, expected)
        if traces or tables or rasters:
            yield "records of another kind"


def _check_quarantine(file: Any, expected: Refused) -> Any:
    if file.state != "quarantined":
        yield file.state
        return
    reasons = {item["adapter"]: item["reason"] for item in file.quarantine_reasons}
    if set(reasons) != set(Registry.load().adapters):
        yield "not every adapter has its say", sorted(reasons)
    if not any(expected.words in reason for reason in reasons.values()):
        yield "no reason says", expected.words, reasons


def _compare_waves(rows: list[Any], expected: tuple[Wave, ...]) -> Any:
    groups: dict[int, list[Any]] = {}
    for row in sorted(rows, key=lambda row: (row.record_index, row.segment_index)):
        groups.setdefault(row.record_index, []).append(row)
    if len(groups) != len(expected):
        yield "waveforms", len(groups)
        return
    for segments, wave in zip(groups.values(), expected, strict=True):
        first = segments[0]
        found = Wave(
            count=sum(row.sample_count for row in segments),
            unit=first.unit,
            dt_s=first.dt_s,
            t0_s=first.t0_s,
            minimum=min(row.minimum for row in segments),
            maximum=max(row.maximum for row in segments),
            segments=len(segments),
            kind=first.kind,
        )
        exact = ("count", "unit", "segments", "kind")
        same = all(getattr(found, key) == getattr(wave, key) for key in exact)
        if not (same and all(_is_close(getattr(found, key), getattr(wave, key), key) for key in CLOSE)):
            yield found, wave


CLOSE = {"dt_s": 0.0, "t0_s": 1e-12, "minimum": 1e-6, "maximum": 1e-6}
"""What is compared as numbers, to the six digits of the manifest, and the difference that is none at zero."""


def _is_close(found: float | None, expected: float | None, key: str) -> bool:
    if found is None or expected is None:
        return found is expected
    return found == pytest.approx(expected, rel=5e-6, abs=CLOSE[key])
