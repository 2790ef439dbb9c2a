"""GDSII and OASIS: counts against an independent reader, every damage refused at its byte."""

import itertools
import re
import sys
from collections import Counter
from pathlib import Path

import gdstk
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.adapter import Confidence
from instruments.errors import CorruptField, CountMismatch, InstrumentError, ReadingLimit, Truncated, UnsupportedVersion
from instruments.mask import layout_engine
from instruments.mask.layout import LayoutAdapter
from instruments.records import Table
from tests.instruments.mask import layout_writer as write
from tests.instruments.mask.sources import read_all, source_of, written

ADAPTER = LayoutAdapter()
GDSII_SAMPLES = {
    "gcd_45nm": 1776,
    "sky130_fd_sc_hd__a21oi_1": 68,
    "sky130_fd_sc_hd__dfxtp_1": 154,
    "sky130_fd_sc_hd__inv_1": 54,
    "sky130_fd_sc_hd__mux2_1": 92,
    "sky130_fd_sc_hd__nand2_1": 58,
    "sky130_fd_sc_hd__sedfxbp_2": 305,
    "tt06_tt_um_factory_test": 87694,
}


def read_both(tmp_path: Path, name: str, data: bytes) -> tuple[Table, Table]:
    _, (cells, layers) = read_all(ADAPTER, written(tmp_path, name, data))
    return cells, layers


def rows(table: Table) -> list[tuple[object, ...]]:
    return list(zip(*(values.tolist() for values in table.columns.values()), strict=True))


def refusal(tmp_path: Path, data: bytes) -> tuple[type[InstrumentError], str]:
    source = written(tmp_path, "x.lay", data)
    with pytest.raises(InstrumentError) as caught:
        read_all(ADAPTER, source)
    return type(caught.value), str(caught.value)


@pytest.mark.shared_data
@pytest.mark.parametrize("name", GDSII_SAMPLES)
def test_real_gdsii_files_flatten_to_what_the_manifest_says(shared_data, name):
    format_name, (_, layers) = read_all(ADAPTER, source_of(shared_data / "mask" / f"{name}.gds"))
    assert format_name == "gdsii"
    assert layers.columns["flat_shapes"].sum() == GDSII_SAMPLES[name]


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "file",
    [*(f"{name}.gds" for name in GDSII_SAMPLES), "gdstk_proof_lib.gds", "gdstk_min_length_path.oas", "gcd_45nm.oas"],
)
def test_real_files_have_the_cells_and_shapes_that_gdstk_finds(shared_data, file):
    path = shared_data / "mask" / file
    _, (cells, _) = read_all(ADAPTER, source_of(path))
    library = gdstk.read_gds(str(path)) if path.suffix == ".gds" else gdstk.read_oas(str(path))
    expected = {
        cell.name: (
            len(cell.polygons) + sum(_times(item) - 1 for item in cell.polygons) + len(cell.paths),
            len(cell.labels),
            len(cell.references),
        )
        for cell in library.cells
    }
    found = {
        name: (polygons + paths, texts, references)
        for name, polygons, paths, texts, references in zip(
            *(cells.columns[key].tolist() for key in ("cell", "polygons", "paths", "texts", "references")), strict=True
        )
    }
    assert found == expected


def _times(shape: gdstk.Polygon) -> int:
    return int(shape.repetition.size) if shape.repetition.size else 1


@pytest.mark.shared_data
def test_the_same_layout_in_both_formats(shared_data):
    _, (gdsii_cells, gdsii_layers) = read_all(ADAPTER, source_of(shared_data / "mask" / "tt06_tt_um_factory_test.gds"))
    name, (cells, layers) = read_all(ADAPTER, source_of(shared_data / "mask" / "tt06_tt_um_factory_test.oas"))
    assert name == "oasis"
    assert Counter(rows(cells)) == Counter(rows(gdsii_cells))
    flat = {row[:2]: row[-1] for row in rows(layers)}
    assert flat == {row[:2]: row[-1] for row in rows(gdsii_layers)}
    assert cells.warnings == (
        "6 repeated shapes or cells of sky130_fd_sc_hd__clkbuf_2 lie exactly on another one",
        "4 repeated shapes or cells of sky130_fd_sc_hd__clkbuf_16 lie exactly on another one",
    )
    top = cells.columns["cell"].tolist().index("tt_um_factory_test")
    box = [cells.columns[side][top] for side in ("left_um", "bottom_um", "right_um", "top_um")]
    assert box == pytest.approx([0, 0, 161, 111.52])


def test_a_gdsii_file(tmp_path):
    cells, layers = read_both(tmp_path, "lib.gds", write.sample_gdsii())
    assert (cells.kind, cells.name, layers.kind, layers.name) == (
        "layout_cell",
        "lib cells",
        "layout_layer",
        "lib layers",
    )
    assert rows(cells) == [
        ("LEAF", False, 0, 2, 1, 1, 0, 0, 0.0, -0.005, 0.3, 0.2),
        ("MIDDLE", False, 1, 1, 0, 0, 2, 7, 0.0, -0.005, 5.3, 1.2),
        ("TOP", True, 2, 0, 0, 0, 2, 2, 0.0, -0.005, 25.3, 1.2),
    ]
    assert rows(layers) == [
        (1, 0, "", 2, 0, 0, 28.0),
        (2, 1, "", 0, 1, 0, 14.0),
        (3, 2, "", 0, 0, 1, 14.0),
        (4, 0, "", 1, 0, 0, 2.0),
    ]
    assert cells.units["left_um"] == "um"
    assert cells.vendor_metadata["database_unit_um"] == pytest.approx(1e-3, rel=1e-12)
    assert cells.vendor_metadata["top_cells"] == ["TOP"]
    assert cells.warnings == ()


def test_an_oasis_file_that_keeps_the_mask_rules(tmp_path):
    for scheme, word in ((0, "none"), (1, "CRC32"), (2, "checksum32")):
        cells, layers = read_both(tmp_path, "mask.oas", write.sample_oasis(scheme))
        assert rows(cells) == [
            ("LEAF", False, 0, 7, 0, 0, 0, 0, 0.0, 0.002, 0.211, 0.122),
            ("TOP", True, 1, 0, 0, 0, 1, 2, 0.0, 0.002, 5.211, 0.122),
        ]
        assert rows(layers) == [(7, 0, "", 7, 0, 0, 14.0)]
        assert cells.vendor_metadata["facts"]["validation"] == word
        assert cells.vendor_metadata["oasis_mask_rules"]["keeps_the_rules"] is True


def test_what_breaks_the_mask_rules_is_listed(tmp_path):
    deep = write.oasis(
        write.cell("A", write.rectangle(1), write.rectangle(2)),
        *(write.cell(name, write.placement(below)) for name, below in zip("BCD", "ABC", strict=True)),
        write.cell("E", write.rectangle(1)),
    )
    cells, _ = read_both(tmp_path, "deep.oas", deep)
    verdict = cells.vendor_metadata["oasis_mask_rules"]
    assert verdict["violations"] == ["2 layers", "2 top cells", "4 levels"]
    assert verdict["keeps_the_rules"] is False


@pytest.mark.parametrize("validation", [None, "crc32", "checksum32"])
@pytest.mark.parametrize("level", [0, 9])
def test_files_of_another_writer(tmp_path, validation, level):
    library = gdstk.Library("L", unit=1e-6, precision=1e-9)
    leaf = library.new_cell("LEAF")
    leaf.add(gdstk.rectangle((0, 0), (1, 2), layer=3, datatype=4))
    leaf.add(gdstk.Polygon([(0, 0), (3, 0), (5, 7), (1, 9)], layer=5))
    leaf.add(gdstk.Polygon([(0, 0), (4, 0), (3, 2), (1, 2)], layer=5))
    leaf.add(gdstk.ellipse((3, 3), 1.5, layer=6, tolerance=0.01))
    leaf.add(gdstk.FlexPath([(0, 0), (10, 0), (10, 10)], 0.5, simple_path=True, layer=7))
    leaf.add(gdstk.Label("net", (1, 1), layer=8, texttype=9))
    irregular = gdstk.rectangle((20, 0), (21, 1), layer=10)
    irregular.repetition = gdstk.Repetition(offsets=[(5, 0), (11, 3), (-4, -9)])
    leaf.add(irregular)
    leaf.polygons[0].set_property("why", ["because", 3, -4, 2.5, b"raw"])
    top = library.new_cell("TOP")
    top.add(gdstk.Reference(leaf, (0, 0), columns=3, rows=4, spacing=(100, 50)))
    top.add(gdstk.Reference(leaf, (7, 7), rotation=0.3, magnification=1.5, x_reflection=True))
    path = tmp_path / "other.oas"
    library.write_oas(str(path), compression_level=level, validation=validation)
    _, (cells, layers) = read_all(ADAPTER, source_of(path))
    found = {row[0]: row[3:8] for row in rows(cells)}
    assert found == {"LEAF": (8, 1, 1, 0, 0), "TOP": (0, 0, 0, 2, 13)}
    assert {row[:2]: row[-1] for row in rows(layers)} == {
        (3, 4): 13, (5, 0): 26, (6, 0): 13, (7, 0): 13, (8, 9): 13, (10, 0): 52
    }  # fmt: skip
    assert cells.vendor_metadata["facts"]["validation"] == {None: "none"}.get(
        validation, str(validation).replace("crc", "CRC")
    )


REPETITIONS = (
    (6, gdstk.Repetition(3, 2, spacing=(20, 30))),
    (6, gdstk.Repetition(3, 2, (20, 5), (3, 30))),
    (4, gdstk.Repetition(offsets=[(5, 0), (11, 3), (-4, -9)])),
    (4, gdstk.Repetition(x_offsets=[3, 9, 20])),
    (5, gdstk.Repetition(y_offsets=[3, 9, 20, 21])),
)


@pytest.mark.parametrize("seed", range(6))
def test_every_kind_of_record_that_another_writer_makes(tmp_path, seed):
    generator = np.random.default_rng(seed)
    library = gdstk.Library("L", unit=1e-6, precision=1e-9)
    leaf, top, count = library.new_cell("LEAF"), library.new_cell("TOP"), 0
    for _ in range(30):
        x, y, w, h = generator.uniform(0.1, 9, 4)
        shapes = (
            gdstk.rectangle((x, y), (x + w, y + h), layer=int(generator.integers(3))),
            gdstk.Polygon([(x, y), (x + 2 * w, y), (x + 1.5 * w, y + h), (x + w / 2, y + h)], layer=1),
            gdstk.Polygon([(x, y), (x, y + 2 * h), (x + w, y + 1.5 * h), (x + w, y + h / 2)], layer=1),
            gdstk.ellipse((x, y), w, layer=2, tolerance=0.005),
            gdstk.Polygon([(x, y), (x + w, y), (x, y + w)], layer=3),
        )
        shape, (times, repetition) = shapes[generator.integers(5)], REPETITIONS[generator.integers(5)]
        if generator.random() < 0.5:
            shape.repetition = repetition
            count += times
        else:
            count += 1
        leaf.add(shape)
    placed = gdstk.Reference(leaf, (0, 0))
    placed.repetition = gdstk.Repetition(offsets=[(500, 0), (0, 700)])
    top.add(placed)
    path = tmp_path / "many.oas"
    library.write_oas(
        str(path), detect_rectangles=True, detect_trapezoids=True, circle_tolerance=0.01, standard_properties=True
    )
    _, (cells, layers) = read_all(ADAPTER, source_of(path))
    assert int(cells.columns["polygons"].sum() + cells.columns["paths"].sum()) == count
    assert layers.columns["flat_shapes"].sum() == 3 * count
    assert {"RECTANGLE", "TRAPEZOID", "CTRAPEZOID"} <= set(cells.vendor_metadata["records"])


def test_a_cell_that_is_not_there_is_a_doubt(tmp_path):
    data = write.library(write.structure("TOP", write.sref("GONE", 0, 0)))
    cells, _ = read_both(tmp_path, "x.gds", data)
    assert cells.columns["cell"].tolist() == ["TOP"]
    assert np.isnan(cells.columns["left_um"]).all()
    assert cells.warnings == ("1 cells are referred to but not there: GONE",)


def test_a_large_array_is_counted_not_flattened(tmp_path):
    structures = [write.structure("A", write.box(1, 0, 0, 1, 1)), write.structure("B", write.aref("A", 2000, 2000))]
    structures += [
        write.structure(name, write.sref(below, 0, 0), write.sref(below, 9, 9))
        for below, name in itertools.pairwise("BCDEFGHIJKLMNOPQRSTUVWXYZ")
    ]
    _, layers = read_both(tmp_path, "x.gds", write.library(*structures))
    assert layers.columns["flat_shapes"].tolist() == [4e6 * 2**24]


LEAF = write.SAMPLE_STRUCTURES[0]
BOX = write.box(1, 0, 0, 1, 1)


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (
            write.library(LEAF, end=b""),
            Truncated,
            "the file ends without ENDLIB at byte 318 (expected ENDLIB, found the end of the file)",
        ),
        (write.sample_gdsii()[:200], Truncated, "the file ends inside a record at byte 178 (expected 44, found 22)"),
        (write.sample_gdsii()[:3], Truncated, "the file ends inside a record at byte 0 (expected 4, found 3)"),
        (
            b"\x00\x06\x01\x02\x00\x00",
            CorruptField,
            "the file does not begin with HEADER at byte 0 (expected 0x0002, found 0x0102)",
        ),
        (
            write.sample_gdsii()[:6] + b"\x00\x03" + write.sample_gdsii()[8:],
            CorruptField,
            "a record has an impossible length at byte 6 (expected an even number of at least 4, found 3)",
        ),
        (
            write.library(LEAF, LEAF),
            CorruptField,
            "two structures have the same name at byte 346 (found LEAF)",
        ),
        (write.library(units=b""), CorruptField, "the library has no UNITS at byte 42"),
        (
            write.library(units=write.record(write.UNITS, bytes(16))),
            CorruptField,
            "UNITS is not two positive numbers at byte 42 (found 0, 0)",
        ),
        (write.library(BOX), CorruptField, "BOUNDARY stands outside a structure at byte 62"),
        (
            write.library(LEAF[:-4]),
            CorruptField,
            "the library ends inside a structure at byte 314 (expected ENDSTR, found ENDLIB)",
        ),
        (
            write.library(write.structure("A", BOX[:-4])),
            CorruptField,
            "a BOUNDARY is not ended by ENDEL at byte 96",
        ),
        (
            write.library(write.structure("A", BOX.replace(write.short(write.LAYER, 1), b""))),
            CorruptField,
            "BOUNDARY has no layer or no datatype at byte 96",
        ),
        (
            write.library(write.structure("A", write.aref("B", 0, 3))),
            CorruptField,
            "AREF has no columns or no rows at byte 96 (found 0 x 3)",
        ),
        (write.library(write.structure("A", write.sref("A", 0, 0))), CorruptField, "cells contain themselves"),
        (
            write.oasis(write.cell("A", write.placement("B")), write.cell("B", write.placement("A"))),
            CorruptField,
            "cells contain themselves",
        ),
        (
            write.sample_oasis()[:-1],
            Truncated,
            "the file does not end with an END record at byte 75 (expected END, found other bytes)",
        ),
        (
            write.sample_oasis().replace(b"LEAF", b"LEAV"),
            CorruptField,
            re.compile(
                r"the CRC32 of the file is not that of its bytes at byte \d+ \(expected 0x\w{8}, found 0x\w{8}\)"
            ),
        ),
        (
            write.oasis(head=write.start("2.0")),
            UnsupportedVersion,
            "the version of the OASIS file is not known (expected 1.0, found 2.0)",
        ),
        (write.oasis(write.rectangle(1)), CorruptField, "RECTANGLE stands outside a cell at byte 23"),
        (
            write.oasis(write.cell("A", write.block(write.rectangle(1), expanded=99))),
            CorruptField,
            "a block does not expand to as many bytes as it says at byte 26 (expected 99, found 8)",
        ),
        (
            write.oasis(write.cell("A", write.block(write.rectangle(1), expanded=1 << 40))),
            ReadingLimit,
            f"the compressed blocks expand to more than is read at byte 26 (expected {256 << 20}, found {1 << 40})",
        ),
        (
            write.oasis(write.cell("A", write.block(write.block(write.rectangle(1))))),
            CorruptField,
            "a compressed block stands inside another at byte 26",
        ),
        (write.oasis(b"\x50"), CorruptField, "a record has an unknown type at byte 23 (expected 0 to 34, found 80)"),
        (
            write.oasis(write.cell("A"), write.cell("A")),
            CorruptField,
            "two cells have the same name (found A)",
        ),
        (
            write.oasis(write.uint(13) + write.uint(4)),
            CorruptField,
            "a cell is called by a number that no name has (found 4)",
        ),
    ],
)
def test_refusals(tmp_path, data, kind, message):
    found, said = refusal(tmp_path, data)
    if isinstance(message, re.Pattern):
        assert message.fullmatch(said.removeprefix("x.lay: "))
    else:
        assert said == f"x.lay: {message}"
    assert found is kind


def test_names_in_other_alphabets(tmp_path):
    named = write.library(write.structure("ZELLE_Ä", BOX), write.structure("TOP", write.sref("ZELLE_Ä", 0, 0)))
    cells, _ = read_both(tmp_path, "x.gds", named)
    assert cells.columns["cell"].tolist() == ["ZELLE_Ä", "TOP"]
    latin = named.replace("ZELLE_Ä".encode(), b"ZELLE_\xc4\x00")
    assert refusal(tmp_path, latin) == (CorruptField, "x.lay: the name of a cell is not UTF-8 text")


def test_cells_without_a_name_are_refused(tmp_path):
    assert refusal(tmp_path, write.library(write.structure("", BOX))) == (
        CorruptField,
        "x.lay: a structure has an empty name at byte 90",
    )
    for data in (write.oasis(write.cell("")), write.oasis(write.cell("A", write.placement("")))):
        assert refusal(tmp_path, data) == (CorruptField, "x.lay: a cell has an empty name")


def test_padding_after_the_end_is_nothing_and_other_bytes_are_a_doubt(tmp_path):
    cells, _ = read_both(tmp_path, "x.gds", write.sample_gdsii() + bytes(2048))
    assert cells.warnings == ()
    cells, _ = read_both(tmp_path, "x.gds", write.sample_gdsii() + b"abc")
    assert cells.warnings == ("3 bytes after ENDLIB were ignored",)


def test_readings_that_disagree_are_refused(tmp_path, monkeypatch):
    source = written(tmp_path, "x.gds", write.sample_gdsii())
    seen = layout_engine.read_with_engine(source)
    seen.cells["LEAF"].shapes[1, 0] -= 1
    monkeypatch.setattr("instruments.mask.layout.read_with_engine", lambda _: seen)
    with pytest.raises(CountMismatch) as caught:
        read_all(ADAPTER, source)
    assert str(caught.value) == (
        "x.gds: the shapes on layer 1/0 of LEAF are not what the layout engine finds (expected 1, found 2)"
    )


def test_without_klayout_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "klayout", None)
    assert refusal(tmp_path, write.sample_gdsii()) == (
        UnsupportedVersion,
        "x.lay: layouts are read with klayout, which is not installed: pip install 'faultlight[layout]'",
    )


def test_the_module_alone_does_not_load_klayout():
    import subprocess

    code = "import sys, instruments.mask.layout; sys.exit('klayout' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("data", "confidence"),
    [
        (write.sample_gdsii(), Confidence.CERTAIN),
        (write.sample_oasis(), Confidence.CERTAIN),
        (b"\x00\x06\x00\x02\x00\x07 something else", Confidence.NO),
        (b"", Confidence.NO),
    ],
)
def test_it_knows_its_own(tmp_path, data, confidence):
    assert ADAPTER.sniff(written(tmp_path, "x", data)).confidence is confidence


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_files_are_read_or_refused(tmp_path_factory, data):
    # Without a checksum, so that damage is met by the records themselves.
    original = data.draw(st.sampled_from([write.sample_gdsii(), write.sample_oasis(0)]))
    damaged = bytearray(original)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        if data.draw(st.booleans()):
            damaged[place] = data.draw(st.integers(0, 255))
        elif place:
            del damaged[place : place + data.draw(st.integers(1, 9))]
    folder = tmp_path_factory.mktemp("damaged")
    try:
        _, tables = read_all(ADAPTER, written(folder, "x.lay", bytes(damaged)))
    except InstrumentError as refused:
        assert isinstance(refused.message, str)  # noqa: PT017 - either way is right
        return
    assert [table.kind for table in tables] == ["layout_cell", "layout_layer"]
