"""GLP clips: our own small ones, the contest's, and what is refused by line."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from instruments.errors import CorruptField, InstrumentError, NotThisFormat, ReadingLimit, Truncated, UnsupportedVersion
from instruments.mask import glp
from instruments.mask.glp import read_glp
from instruments.registry import Registry, read_source
from tests.adapter_contract.cases import place_file
from tests.instruments.mask.clips import CLIP


def write(folder: Path, text: str) -> Path:
    path = folder / "clip.glp"
    path.write_text(text)
    return path


def test_shapes_by_level(tmp_path: Path) -> None:
    """A rectangle is left, bottom, width, height; everything in nanometres."""
    clip = read_glp(write(tmp_path, CLIP))
    assert clip.name == "Temp_Top"
    assert sorted(clip.levels) == ["M1", "M2"]
    assert clip.levels["M1"][0].tolist() == [[80, 492], [532, 492], [532, 580], [80, 580]]
    assert len(clip.polygons()) == 2
    half = read_glp(write(tmp_path, CLIP.replace("1  1000", "1  2000")))
    assert np.array_equal(half.levels["M2"][0] * 2, clip.levels["M2"][0])


def test_windows_line_ends_and_no_shapes(tmp_path: Path) -> None:
    """Line ends do not matter; a clip may be empty."""
    (tmp_path / "clip.glp").write_bytes(CLIP.replace("\n", "\r\n").encode())
    assert len(read_glp(tmp_path / "clip.glp").polygons()) == 2
    assert read_glp(write(tmp_path, "BEGIN\nEQUIV 1 1000 MICRON +X,+Y\nENDMSG\n")).polygons() == []


BROKEN: list[tuple[Callable[[str], str], type[InstrumentError], str]] = [
    (lambda text: text.replace("ENDMSG\n", ""), Truncated, "clip.glp: the clip ends before ENDMSG at line 8"),
    (lambda text: "", Truncated, "ENDMSG"),
    (lambda text: "x" + text, NotThisFormat, "begins with BEGIN or EQUIV at line 1 (expected BEGIN, found xBEGIN)"),
    (lambda text: text + "RECT\n", CorruptField, "more after ENDMSG at line 10"),
    (lambda text: text.replace("452  88", "452"), CorruptField, "four numbers at line 7 (expected 4, found 3)"),
    (lambda text: text.replace("452  88", "-452  88"), CorruptField, "a positive size at line 7"),
    (
        lambda text: text.replace("452  88", "452  8o"),
        CorruptField,
        "no number at line 7 (expected a number, found 8o)",
    ),
    (lambda text: text.replace("452  88", "452  9e999"), CorruptField, "too large at line 7"),
    (lambda text: text.replace("216 140\n", "216\n"), CorruptField, "three or more pairs of numbers at line 8"),
    (lambda text: text.replace("EQUIV  1  1000  MICRON  +X,+Y\n", ""), CorruptField, "before EQUIV at line 6"),
    (lambda text: text.replace("1  1000", "1  0"), CorruptField, "a scale is positive at line 2"),
    (lambda text: text.replace("MICRON", "INCH"), UnsupportedVersion, "the scale is not known at line 2"),
    (lambda text: text.replace("+X,+Y", "-X,+Y"), UnsupportedVersion, "the scale is not known at line 2"),
    (lambda text: text.replace("RECT N", "PATH N"), UnsupportedVersion, "the record is not known at line 7"),
    (lambda text: text.replace("RECT N", "RECT R"), CorruptField, "mode is N at line 7 (expected N, found R)"),
]


@pytest.mark.parametrize(("spoil", "kind", "message"), BROKEN)
def test_broken_clips(tmp_path: Path, spoil: Callable[[str], str], kind: type[InstrumentError], message: str) -> None:
    """The line, what was expected and what was found."""
    with pytest.raises(kind) as caught:
        read_glp(write(tmp_path, spoil(CLIP)))
    assert message in str(caught.value)


def test_too_large_and_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounded, and binary files are no clips."""
    (tmp_path / "clip.glp").write_bytes(b"BEGIN\n\x81\x8d\x8f\n")
    with pytest.raises(InstrumentError):
        read_glp(tmp_path / "clip.glp")
    monkeypatch.setattr(glp, "MAX_BYTES", 10)
    with pytest.raises(ReadingLimit, match="too large"):
        read_glp(write(tmp_path, CLIP))


def test_a_clip_is_a_table_of_polygons(tmp_path: Path) -> None:
    """Micrometres, areas and vertices; a polygon that folds onto itself is read and doubted."""
    text = CLIP.replace("304  140  216 140", "304  80  216  80")
    result = read_source(place_file(tmp_path, "any.txt", text.encode()), Registry.load(strict=True))
    (table,) = result.records
    assert (result.format, table.kind, table.columns["level"].tolist()) == ("glp", "layout_polygon", ["M1", "M2"])
    assert table.columns["right_um"].tolist() == pytest.approx([0.532, 0.304])
    assert table.columns["area_um2"].tolist() == pytest.approx([0.452 * 0.088, 0.0])
    assert json.loads(table.columns["points_nm"][0])[2] == [532, 580]
    assert table.warnings == ("1 of 2 polygons have no area",)


@pytest.mark.shared_data
def test_the_contests_clips(shared_data: Path) -> None:
    """Counts of shapes by eye; clip 4 has the drawn area of the published row in which nothing prints."""
    counts = {number: len(read_glp(shared_data / f"mask/iccad13_M1_test{number}.glp").polygons()) for number in (1, 7)}
    assert counts == {1: 10, 7: 3}
