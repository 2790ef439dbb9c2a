"""The maps, layout, affine and delays of a probing session."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instruments.adapter import Source
from instruments.errors import InstrumentError
from instruments.packing import pack
from instruments.probing.session import ProbingSessionAdapter
from instruments.records import ProbingSession
from instruments.registry import Registry, read_source
from instruments.simulation.standard_delay import StandardDelayAdapter
from tests.adapter_contract.cases import CASES
from tests.instruments.probing.bundles import bundle
from tests.instruments.probing.test_signal_map import AMPLITUDE, PHASE, band, tiff

ADAPTER = ProbingSessionAdapter()
FILES = {name: data for name, data in CASES["probing_session"].files.items() if name != "session.json"}
DOCUMENT: dict[str, Any] = {
    "schema": "faultlight.probing-session/1",
    "session": "S-1",
    "role": "suspect",
    "technique": "LVI",
    "stimulus": {"cycle_s": 1e-8, "cycles": 3},
    "netlist": "n.bench",
    "patterns": "patterns.csv",
    "waveforms": [{"file": "probe.csv", "net": "y"}],
}


def session(folder: Path, files: dict[str, bytes] | None = None, **more: Any) -> Source:
    return bundle(folder, {**FILES, **(files or {}), "session.json": {**DOCUMENT, **more}}, "s")


def read(source: Source) -> ProbingSession:
    (record,) = read_source(source, Registry([ADAPTER]), "probing_session").records
    assert isinstance(record, ProbingSession)
    return record


def refusal(source: Source) -> str:
    with pytest.raises(InstrumentError) as caught:
        read(source)
    return f"{type(caught.value).__name__}: {caught.value}"


def test_maps_with_bands_become_rasters_of_the_session(tmp_path):
    bands = [band("amplitude", page=0), {"name": "phase", "unit": "rad", "page": 1}]
    entry = {"file": "m.tif", "frequency_hz": 1e8, "kind": "LVI", "bands": bands, "pitch_nm": 100}
    found = read(session(tmp_path, {"m.tif": tiff(AMPLITUDE, PHASE)}, maps=[entry]))
    assert found.document["maps"] == [entry]
    (raster,) = found.maps["m.tif"]
    np.testing.assert_array_equal(raster.values(), np.stack([AMPLITUDE, PHASE]).astype(float))
    assert (raster.frequency_hz, raster.pitch_x_m, raster.vendor_metadata) == (1e8, 1e-7, {"entry": entry})
    assert found.warnings == ()


def test_kind_and_unit_make_one_band_and_less_stays_in_the_document(tmp_path):
    maps = [
        {"file": "a.tif", "frequency_hz": 1e6, "kind": "amplitude", "unit": "V", "page": 1},
        {"file": "b.tif", "frequency_hz": 2e6, "kind": "LVI"},
    ]
    found = read(session(tmp_path, {"a.tif": tiff(PHASE, AMPLITUDE), "b.tif": tiff(PHASE)}, maps=maps))
    (raster,) = found.maps["a.tif"]
    np.testing.assert_array_equal(raster.values()[0], AMPLITUDE.astype(float))
    assert (raster.name, raster.frequency_hz) == ("a", 1e6)
    assert list(found.maps) == ["a.tif"]
    assert found.document["maps"] == maps
    assert found.warnings == ("the map b.tif was not read: session.json gives neither its bands nor its kind and unit",)


def test_maps_are_packed_with_their_file(tmp_path):
    entry = {"file": "a.tif", "kind": "amplitude", "unit": "V", "pitch_nm": 50}
    source = session(tmp_path, {"a.tif": tiff(AMPLITUDE)}, maps=[entry])
    packed = pack(read_source(source, Registry([ADAPTER]), "probing_session"), tmp_path / "packed")
    (raster,) = (record for record in packed.records if record.kind == "raster")
    assert (raster.member_path, raster.fields["kind"], raster.fields["rows"]) == ("a.tif", "signal_map", 4)


def test_layout_delays_and_affine_are_kept(tmp_path):
    more = {"layout": "chip.gds", "delays": "top.sdf", "affine": [[0.1, 0, 5], [0, -0.1, 6]]}
    found = read(session(tmp_path, {"chip.gds": b"", "top.sdf": b""}, **more))
    assert {key: found.document[key] for key in more} == more
    assert found.delays == ()
    (warning,) = found.warnings
    assert warning.startswith("the delays were not read: top.sdf is refused")


def test_delays_are_read_and_packed_with_their_file(tmp_path):
    (tmp_path / "b").mkdir()
    sdf = b'(DELAYFILE (TIMESCALE 1ps) (CELL (CELLTYPE "i") (INSTANCE u) (DELAY (ABSOLUTE (IOPATH A Y (3) (4))))))'
    source = session(tmp_path / "b", {"top.sdf": sdf}, delays="top.sdf")
    result = read_source(source, Registry([ADAPTER, StandardDelayAdapter()]), "probing_session")
    (table,) = result.records[0].delays
    assert (table.kind, table.columns["rise_s"].tolist()) == ("delay_arc", [3e-12])
    packed = pack(result, tmp_path / "packed")
    (record,) = (record for record in packed.records if record.kind == "table")
    assert record.member_path == "top.sdf"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"maps": {"file": "m.tif"}},
            "session.json: maps is not right (expected a list of maps, each with its file, found {'file': 'm.tif'})",
        ),
        (
            {"maps": [{"kind": "LVI"}]},
            "session.json: maps is not right (expected a list of maps, each with its file, found [{'kind': 'LVI'}])",
        ),
        ({"maps": [{"file": "x.tif"}]}, "maps: the session names x.tif, which is not in the bundle"),
        (
            {"maps": [{"file": "m.tif", "frequency_hz": -1}]},
            "session.json.maps[0].frequency_hz is not right (expected a positive number, found -1)",
        ),
        (
            {"maps": [{"file": "m.tif", "kind": "amplitude", "unit": "V", "pitch": 5}]},
            "session.json.maps[0].pitch is not known (found pitch)",
        ),
        (
            {"maps": [{"file": "m.tif", "kind": "amplitude", "unit": "V", "page": 7}]},
            "m.tif is refused: m.tif has no page 7 (expected < 1, found 7)",
        ),
        ({"layout": "chip.gds"}, "layout: the session names chip.gds, which is not in the bundle"),
        (
            {"affine": [[1, 0, 0], [1, 0, 0]]},
            "session.json: affine is not right (expected two rows of three numbers, found [[1, 0, 0], [1, 0, 0]])",
        ),
    ],
)
def test_refusals_in_full(tmp_path, more, message):
    assert refusal(session(tmp_path, {"m.tif": tiff(AMPLITUDE)}, **more)) == f"CorruptField: s: {message}"
