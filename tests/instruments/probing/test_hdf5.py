import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.adapter import HEAD_BYTES, Confidence, Source
from instruments.errors import InstrumentError, ReaderCrashed
from instruments.probing import hdf5_datasets
from instruments.probing.hdf5 import Hdf5Adapter
from instruments.records import Raster, Record, Waveform
from instruments.registry import Registry, read_source
from tests.instruments.probing.bundles import bundle, read_with

ADAPTER = Hdf5Adapter()
SCHEMA = "faultlight.hdf5-mapping/1"
WAVE = {"name": "ch1", "values": "/acq/ch1", "unit": "V"}
MAP = {"bands": [{"name": "amplitude", "unit": "V", "dataset": "/lvi"}], "pitch_nm": 100}


def made(fill: Callable[[h5py.File], object], **options: Any) -> bytes:
    memory = io.BytesIO()
    with h5py.File(memory, "w", **options) as file:
        fill(file)
    return memory.getvalue()


def standard(file: h5py.File) -> None:
    group = file.create_group("acq")
    file.attrs["instrument"] = "digitizer"
    group.attrs["dt"] = 4e-9
    values = np.arange(100, dtype=">i2").reshape(4, 25)
    group.create_dataset("ch1", data=values.ravel())
    group.create_dataset("sequence", data=values, chunks=(2, 10), compression="gzip")
    group.create_dataset("columns", data=values.T.copy())
    group.create_dataset("stack", data=np.stack([values, values + 1000]))
    group.create_dataset("triggers", data=np.array([0.0, 1e-6, 2.5e-6, 9e-6]))
    group.create_dataset("t", data=np.arange(100) * 0.5 - 3)
    group.create_dataset("uneven", data=np.arange(100.0) ** 1.1)
    group.create_dataset("one", data=0.25)
    group.create_dataset("iq", data=np.array([1 + 2j, 3 - 4j], np.complex64))
    group.create_dataset("words", data=np.array([b"a", b"b"], "S1"))
    group.create_dataset("none", shape=(0,), dtype="f4")
    file.create_dataset("lvi", data=np.arange(12, dtype="<u2").reshape(3, 4))
    file["inner"] = h5py.SoftLink("/acq/ch1")
    file["circle"] = h5py.SoftLink("/circle")
    file["outer"] = h5py.ExternalLink("other.h5", "/x")
    file["through"] = h5py.SoftLink("/outer/x")


STANDARD = made(standard)


def mapped(folder: Path, waveform: dict[str, Any] | None = None, data: bytes = STANDARD, **more: Any) -> Source:
    document = {"schema": SCHEMA, **({"waveforms": [WAVE | waveform]} if waveform is not None else {}), **more}
    return bundle(folder, {"run.h5": data, "mapping.json": document})


def read(source: Source) -> dict[str, Record]:
    return read_with(ADAPTER, source)


def one(source: Source) -> Waveform:
    (record,) = read(source).values()
    assert isinstance(record, Waveform)
    return record


def refusal(source: Source) -> str:
    with pytest.raises(InstrumentError) as caught:
        read(source)
    return f"{type(caught.value).__name__}: {caught.value}"


def test_a_waveform_by_name(tmp_path):
    source = mapped(tmp_path, {"dt_s": 1e-9, "t0_s": -2e-8, "gain": 0.5, "offset": -1.0, "averages": 16})
    assert ADAPTER.sniff(source).confidence is Confidence.CERTAIN
    waveform = one(source)
    assert waveform.samples.dtype == np.dtype("<i2")
    assert waveform.samples.array().tolist() == list(range(100))
    assert (waveform.gain, waveform.offset, waveform.unit, waveform.averages) == (0.5, -1.0, "V", 16)
    assert (waveform.dt_s, waveform.t0_s, len(waveform.segments)) == (1e-9, -2e-8, 1)
    assert (waveform.minimum, waveform.maximum, waveform.warnings) == (-1.0, 48.5, ())
    assert waveform.vendor_metadata["attributes"] == {"instrument": "digitizer"}
    assert waveform.vendor_metadata["mapping"]["waveforms"][0]["values"] == "/acq/ch1"


def test_without_a_distance_of_samples_it_is_unknown(tmp_path):
    waveform = one(mapped(tmp_path, {"values": "/inner"}))
    assert (waveform.dt_s, waveform.t0_s) == (None, None)
    assert waveform.warnings == ("the mapping gives neither dt_s nor time: the distance of samples is unknown",)


@pytest.mark.parametrize(("values", "axis"), [("/acq/sequence", 0), ("/acq/columns", 1)])
def test_segments_along_either_axis(tmp_path, monkeypatch, values, axis):
    monkeypatch.setattr(hdf5_datasets, "BLOCK_BYTES", 64)
    waveform = one(
        mapped(tmp_path, {"values": values, "segments_axis": axis, "trigger_offsets_s": "/acq/triggers", "dt_s": 1e-9})
    )
    assert waveform.samples.array().tolist() == list(range(100))
    assert [segment.count for segment in waveform.segments] == [25] * 4
    assert [segment.trigger_offset_s for segment in waveform.segments] == [0.0, 1e-6, 2.5e-6, 9e-6]


def test_an_index_selects_along_the_first_axes(tmp_path):
    waveform = one(mapped(tmp_path, {"values": "/acq/stack", "index": [1, 2], "dt_s": 1}))
    assert waveform.samples.array().tolist() == list(range(1050, 1075))
    waveform = one(mapped(tmp_path, {"values": "/acq/stack", "index": [1], "segments_axis": 0}))
    assert waveform.samples.array().tolist() == list(range(1000, 1100))


def test_numbers_that_stand_in_the_file(tmp_path):
    quantities = {"dt_s": {"dataset": "/acq", "attribute": "dt"}, "gain": {"dataset": "/acq/one"}}
    waveform = one(mapped(tmp_path, quantities))
    assert (waveform.dt_s, waveform.gain) == (4e-9, 0.25)


def test_a_dataset_of_times(tmp_path):
    waveform = one(mapped(tmp_path, {"time": "/acq/t", "time_unit": "us"}))
    assert waveform.dt_s == pytest.approx(0.5e-6, rel=1e-12)
    assert waveform.t0_s == pytest.approx(-3e-6, rel=1e-12)


def test_complex_values_are_two_waveforms(tmp_path):
    found = read(mapped(tmp_path, {"values": "/acq/iq", "dt_s": 1e-9}))
    assert {name: record.values().tolist() for name, record in found.items()} == {
        "ch1 (real)": [1.0, 3.0],
        "ch1 (imaginary)": [2.0, -4.0],
    }


def test_maps(tmp_path):
    (raster,) = read(mapped(tmp_path, maps=[MAP | {"name": "lvi", "frequency_hz": 1e8}])).values()
    assert isinstance(raster, Raster)
    assert raster.values().tolist() == np.arange(12.0).reshape(1, 3, 4).tolist()
    assert (raster.kind, raster.pitch_x_m, raster.frequency_hz) == ("signal_map", 1e-7, 1e8)
    assert raster.samples.dtype == np.dtype("<u2")


DATASETS = (
    "/acq/ch1 (100, >i2), /acq/columns (25 x 4, >i2), /acq/iq (2, complex64), /acq/none (0, float32),"
    " /acq/one (scalar, float64), /acq/sequence (4 x 25, >i2), /acq/stack (2 x 4 x 25, int16), /acq/t (100, float64),"
    " /acq/triggers (4, float64), /acq/uneven (100, float64), /acq/words (2, |S1), /lvi (3 x 4, uint16)"
)


def test_a_file_alone_is_refused_with_what_is_in_it(tmp_path):
    path = tmp_path / "run.h5"
    path.write_bytes(STANDARD)
    source = Source(path, "run.h5", len(STANDARD), STANDARD[:HEAD_BYTES], {})
    assert ADAPTER.sniff(source).confidence is Confidence.LIKELY
    assert refusal(source) == (
        "UnsupportedVersion: run.h5: HDF5 does not say what its datasets are: put the file in a bundle with"
        f" mapping.json, which names them (expected a bundle with mapping.json, found {DATASETS})"
    )


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        ({"values": "/acq/x"}, f"CorruptField: b: the file has no /acq/x (found {DATASETS})"),
        ({"values": "/acq"}, f"CorruptField: b: /acq is no dataset (found {DATASETS})"),
        ({"values": "/outer"}, "UnsupportedVersion: b: /outer is a link to another file, which is not followed"),
        ({"values": "/through"}, "UnsupportedVersion: b: /outer/x is a link to another file, which is not followed"),
        ({"values": "/circle"}, "CorruptField: b: /circle leads through too many links (expected <= 16)"),
        (
            {"values": "/acq/words"},
            "UnsupportedVersion: b: the dataset /acq/words does not hold numbers (found |S1)",
        ),
        ({"values": "/acq/none"}, "CorruptField: b: the dataset /acq/none is empty (found (0,))"),
        (
            {"values": "/acq/sequence"},
            "CorruptField: b: ch1: /acq/sequence has 2 axes after its index"
            " (expected 1, or 2 with segments_axis, found (4, 25))",
        ),
        (
            {"values": "/acq/stack", "index": [2]},
            "CorruptField: b: the index of /acq/stack is outside it (expected < 2, found 2)",
        ),
        (
            {"index": [0]},
            "CorruptField: b: the index of /acq/ch1 leaves no axis (expected < 1 numbers, found 1)",
        ),
        (
            {"time": "/acq/uneven", "time_unit": "s"},
            "CorruptField: b: ch1: the times are not regular, first at sample 1 (expected 1.58330112175, found 1)",
        ),
        (
            {"time": "/acq/triggers", "time_unit": "s"},
            "CountMismatch: b: ch1: /acq/triggers has not one time for each sample (expected 100, found (4,))",
        ),
        (
            {"time": "/acq/t"},
            "CorruptField: b: mapping.json.waveforms[0].time_unit is not right (expected s, ms, us, ns, ps or fs)",
        ),
        ({"time": "/acq/t", "dt_s": 1}, "CorruptField: b: mapping.json.waveforms[0] has dt_s and time"),
        (
            {"dt_s": {"dataset": "/acq", "attribute": "rate"}},
            "CorruptField: b: dt_s refers to /acq@rate, which is not there (found dt)",
        ),
        (
            {"gain": {"dataset": "/acq/t"}},
            "CorruptField: b: gain refers to /acq/t, which is not one number (found (100,))",
        ),
        (
            {"dt_s": -1},
            "CorruptField: b: mapping.json.waveforms[0].dt_s is not right"
            " (expected a number, or {dataset, attribute}, found -1)",
        ),
        ({"units": "V"}, "CorruptField: b: mapping.json.waveforms[0].units is not known (found units)"),
        ({"unit": ""}, "CorruptField: b: mapping.json.waveforms[0].unit is not right (expected a text, found '')"),
    ],
)
def test_mappings_refused_in_full(tmp_path, waveform, message):
    assert refusal(mapped(tmp_path, waveform)) == message


def sparse(file: h5py.File) -> None:
    dataset = file.create_dataset("x", shape=(100,), chunks=(10,), dtype="f4")
    dataset[:30] = 1


def external(file: h5py.File) -> None:
    file.create_dataset("x", shape=(2,), dtype="u1", external=[("/etc/hostname", 0, 2)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=(2,), dtype="f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=(2,))
    file.create_virtual_dataset("x", layout)


def bomb(file: h5py.File) -> None:
    file.create_dataset("x", shape=(1 << 30,), chunks=(1 << 20,), dtype="f8", compression="gzip")


def huge_chunk(file: h5py.File) -> None:
    dataset = file.create_dataset("x", shape=(1 << 24,), chunks=(1 << 24,), dtype="f8", compression="gzip")
    dataset[0] = 1


@pytest.mark.parametrize(
    ("fill", "message"),
    [
        (sparse, "CountMismatch: b: chunks of /x were never written (expected 10, found 3)"),
        (external, "UnsupportedVersion: b: the samples of /x are in another file, which is not read"),
        (virtual, "UnsupportedVersion: b: the dataset /x is a view of others, which is not read"),
        (bomb, "ReadingLimit: b: the dataset /x expands too far (expected 0, found 8589934592)"),
        (huge_chunk, "ReadingLimit: b: the chunks of /x are too large (expected 67108864, found 134217728)"),
        (
            lambda file: file.create_dataset("x", shape=(100,), dtype="f4"),
            "CountMismatch: b: the storage of /x is not that of its shape (expected 400, found 0)",
        ),
    ],
)
def test_storage_refused_in_full(tmp_path, fill, message):
    assert refusal(mapped(tmp_path, {"values": "/x"}, made(fill))) == message


def test_documents_refused_in_full(tmp_path):
    def with_document(document: Any, **files: bytes) -> str:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        return refusal(bundle(tmp_path, {"run.h5": STANDARD, "mapping.json": content, **files}))

    assert with_document({"schema": "x"}) == (
        "UnsupportedVersion: b: the schema of mapping.json is not known (expected faultlight.hdf5-mapping/1, found x)"
    )
    assert with_document(b"[1") == (
        "CorruptField: b: mapping.json is no JSON: Expecting ',' delimiter: line 1 column 3 (char 2)"
    )
    assert with_document({"schema": SCHEMA}) == (
        "CorruptField: b: mapping.json is not right (expected waveforms or maps)"
    )
    twice = {"schema": SCHEMA, "waveforms": [WAVE, WAVE]}
    assert with_document(twice) == "CorruptField: b: mapping.json has two records called ch1"
    single = {"schema": SCHEMA, "waveforms": [WAVE]}
    assert with_document(single, **{"notes.txt": b""}) == (
        "CorruptField: b: mapping.json does not name notes.txt (found 1)"
    )
    assert with_document(single, **{"b.h5": b""}) == (
        "CorruptField: b: mapping.json.file is not right"
        " (expected the name of the HDF5 file, as there is not one alone)"
    )
    assert with_document(single | {"file": "../x"}).startswith("UnsafePath: b: ")
    assert with_document(single | {"file": "x.h5"}) == (
        "CorruptField: b: mapping.json.file names x.h5, which is not in the bundle"
    )
    assert refusal(bundle(tmp_path, {"run.h5": STANDARD})) == "NotThisFormat: b: the bundle has no mapping.json"


def test_every_cut_is_refused(tmp_path):
    for length in range(0, len(STANDARD), 701):
        message = refusal(mapped(tmp_path, {}, STANDARD[:length]))
        assert message.startswith(("Truncated: b: ", "CorruptField: b: "))
    assert refusal(mapped(tmp_path, {}, STANDARD[:-1])) == (
        f"Truncated: b: the HDF5 file is shorter than it says at byte {len(STANDARD) - 1}"
    )


MAPPING = {
    "schema": SCHEMA,
    "waveforms": [WAVE | {"dt_s": 1e-9}, WAVE | {"name": "s", "values": "/acq/sequence", "segments_axis": 0}],
    "maps": [MAP],
}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, len(STANDARD) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_damaged_files_are_refused_or_read_whole(tmp_path_factory, changes):
    data = bytearray(STANDARD)
    for place, value in changes:
        data[place] = value
    source = bundle(tmp_path_factory.mktemp("hdf5"), {"run.h5": bytes(data), "mapping.json": MAPPING})
    try:
        records = read_source(source, Registry([ADAPTER]), "hdf5").records
    except ReaderCrashed:
        raise
    except InstrumentError:
        return
    for record in records:
        assert record.samples.array().size == record.samples.count


def test_a_damaged_heap_of_texts_is_refused_before_the_library_loops_over_it(tmp_path):
    data = bytearray(STANDARD)
    place = data.index(b"GCOL")
    data[place + 24] ^= 0x80
    assert refusal(mapped(tmp_path, {}, bytes(data))) == (
        f"CorruptField: b: a heap of texts in the HDF5 file is damaged at byte {place}"
    )
