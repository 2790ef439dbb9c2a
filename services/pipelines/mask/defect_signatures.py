"""Spatial signatures of an inspection, and defects that two have in common: ``faultlight mask signatures | match``."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.coordinates.affine import Points
from analysis.coordinates.registration import fit_registration
from analysis.mask.defect_matching import FOUND_AGAIN, Matching, match_defects
from analysis.mask.inspected_regions import Boxes, Disc, Region
from analysis.mask.signature_statistics import ReticleField
from analysis.mask.signatures import FEWEST_DEFECTS, RATE, SIMULATIONS, SignatureFinder, SignatureReport
from instruments.errors import CorruptField
from instruments.records import Table
from services.pipelines.mask.defect_tables import read_defects
from services.pipelines.versions import SIGNATURE_VERSION

SEED = 20_240_229
_UM_PER_MM = 1000.0
_ALIGN_FROM, _ALIGN_PAIRS = 0.9, 5


@dataclass(frozen=True)
class SignatureOptions:
    """What the file does not say, or is to be overruled.

    Attributes:
        radius_um: of the inspected disc; else the dies of the file's test plan, else its sample size.
        field_um: pitch of the reticle fields; else that of the dies.
        tolerance_um: how far the same place may be off from field to field.
        rate: false-discovery rate of the signatures of a map.
        simulations: maps by chance that each is compared with.
    """

    radius_um: float | None = None
    field_um: tuple[float, float] | None = None
    tolerance_um: float = 2.0
    rate: float = RATE
    simulations: int = SIMULATIONS


def signatures_document(tables: Sequence[Table], options: SignatureOptions, inspection: str) -> dict[str, Any]:
    """Return the signatures of each sample of ``inspection``.

    Raises:
        CorruptField: the file does not say what was inspected, or a sample has too few defects with a place.
        ValueError: an option cannot be.
    """
    samples = [_sample(table, options, inspection) for table in tables]
    found = sorted({each["kind"] for sample in samples for each in sample["signatures"]})
    return {
        "inspection": inspection,
        "verdict": "structured" if found else "random",
        "kinds": found,
        "samples": samples,
        "warnings": [
            {"kind": "inspection", "message": f"{inspection}: {warning}"}
            for table in tables
            for warning in table.warnings
        ],
        "conventions": {
            "null": "as many defects anywhere in the inspected region, independently",
            "p_value": "part of simulated maps whose statistic is as large",
            "adjusted": "smallest false-discovery rate, over the statistics of a map, at which it is found",
            "repeater": "the same place of several reticle fields: a defect of the mask repeats",
        },
        "provenance": {
            "algorithm": "scan statistics against simulated complete spatial randomness",
            "algorithm_version": SIGNATURE_VERSION,
            "parameters": asdict(options) | {"seed": SEED},
            "device": "cpu",
            "precision": "float64",
        },
    }


def _sample(table: Table, options: SignatureOptions, inspection: str) -> dict[str, Any]:
    xy_um, rows = _positions(table, ("x_um", "y_um"), inspection)
    if len(rows) < FEWEST_DEFECTS:
        message = f"{table.name}: too few defects have a place for a signature"
        raise CorruptField(message, file=inspection, expected=FEWEST_DEFECTS, found=len(rows))
    region, source = _region(table, options, inspection)
    field = _field(table, options)
    numbers = np.random.default_rng(SEED)
    finder = SignatureFinder(region, field, rate=options.rate, simulations=options.simulations, numbers=numbers)
    report = finder.find(xy_um)
    identities = _identities(table)[rows]
    return {
        "sample": table.name,
        "defects": len(rows),
        "without_place": table.row_count - len(rows),
        "region": {"source": source, "area_mm2": region.area_um2 / _UM_PER_MM**2},
        "field": None if field is None else asdict(field),
        "tests": [asdict(each) for each in report.tests],
        "signatures": _signatures(report, identities),
        "unexplained": len(report.left),
    }


def _signatures(report: SignatureReport, identities: NDArray[np.int64]) -> list[dict[str, Any]]:
    return [
        {"kind": each.kind, "p_value": each.p_value, "about": each.about, "defects": identities[each.members].tolist()}
        for each in report.signatures
    ]


def _identities(table: Table) -> NDArray[np.int64]:
    return np.asarray(table.columns.get("defect_id", np.arange(table.row_count)), np.int64)


def _positions(table: Table, names: tuple[str, str], inspection: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the places that are known and their rows."""
    if any(name not in table.columns for name in names):
        message = f"{table.name}: the defects have no such coordinates"
        raise CorruptField(message, file=inspection, expected=" and ".join(names), found="none")
    xy = np.column_stack([np.asarray(table.columns[name], np.float64) for name in names])
    rows = np.flatnonzero(np.isfinite(xy).all(axis=1))
    return xy[rows], rows


def _geometry(table: Table, name: str) -> tuple[float, float] | None:
    frame = table.vendor_metadata.get("frame", {})
    pair = frame.get("geometry_um", {}).get(name) if isinstance(frame, Mapping) else None
    return None if pair is None else (float(pair[0]), float(pair[1]))


def _region(table: Table, options: SignatureOptions, inspection: str) -> tuple[Region, str]:
    """Return what was inspected and who says so."""
    if options.radius_um is not None:
        return Disc(options.radius_um), "the radius that was given"
    pitch, centre = _geometry(table, "DiePitch"), _geometry(table, "SampleCenterLocation")
    dies = _test_plan(table)
    if dies is not None and pitch is not None and centre is not None:
        low = dies * np.asarray(pitch) - np.asarray(centre)
        return Boxes(np.concatenate([low, low + np.asarray(pitch)], axis=1)), f"{len(dies)} dies of the test plan"
    size = _statement(table, "SampleSize")
    if size and len(size) == 2 and size[0] == "1":
        return Disc(float(size[1]) * _UM_PER_MM / 2), f"a sample of {size[1]} mm"
    message = "the file does not say what was inspected: give the radius of the sample"
    raise CorruptField(message, file=inspection, expected="SampleTestPlan or SampleSize", found="neither")


def _statement(table: Table, name: str) -> list[str] | None:
    statements = table.vendor_metadata.get("statements", {})
    values = statements.get(name) if isinstance(statements, Mapping) else None
    return [str(each) for each in values[0]] if values else None


def _test_plan(table: Table) -> NDArray[np.float64] | None:
    """Return column and row of the inspected dies, ``(k, 2)``; ``None`` where the file does not list them."""
    values = _statement(table, "SampleTestPlan")
    try:
        numbers = [int(each) for each in values or ()]
    except ValueError:
        return None
    if len(numbers) < 3 or len(numbers) != 1 + 2 * numbers[0]:
        return None
    return np.unique(np.asarray(numbers[1:], np.float64).reshape(-1, 2), axis=0)


def _field(table: Table, options: SignatureOptions) -> ReticleField | None:
    pitch, centre = options.field_um or _geometry(table, "DiePitch"), _geometry(table, "SampleCenterLocation")
    if pitch is None:
        return None
    corner = (0.0, 0.0) if centre is None else (-centre[0], -centre[1])
    return ReticleField(*pitch, *corner, options.tolerance_um)


def signatures_path(path: Path, options: SignatureOptions) -> dict[str, Any]:
    """Return the answer of ``faultlight mask signatures --json``; raises what reading and finding raise."""
    return signatures_document(read_defects(path), options, path.name)


@dataclass(frozen=True)
class MatchOptions:
    """How two inspections are compared.

    Attributes:
        sigma_nm: standard deviations of a place in the first and the second inspection.
        coordinates: ``sample``, ``die`` or ``layout``.
        area_mm2: that both cover; the box around all defects if it is not given.
        found_again: probability that the second finds a defect of the first.
        align: whether a shift between the two is fitted to sure pairs first.
    """

    sigma_nm: tuple[float, float]
    coordinates: str = "sample"
    area_mm2: float | None = None
    found_again: float = FOUND_AGAIN
    align: bool = False


_NAMES = {"sample": ("x_um", "y_um"), "die": ("x_die_um", "y_die_um"), "layout": ("layout_x_um", "layout_y_um")}


def match_document(tables: tuple[Table, Table], options: MatchOptions, inspections: tuple[str, str]) -> dict[str, Any]:
    """Return which defects of two inspections of one sample are the same.

    Raises:
        CorruptField: the coordinates are not there.
        ValueError: an option cannot be.
    """
    if options.coordinates not in _NAMES:
        raise CorruptField("there are no such coordinates", expected=", ".join(_NAMES), found=options.coordinates)
    if not all(math.isfinite(each) and each > 0 for each in options.sigma_nm):
        raise CorruptField("matching needs the error of a place in both inspections", found=str(options.sigma_nm))
    places, rows = zip(
        *(
            _positions(table, _NAMES[options.coordinates], name)
            for table, name in zip(tables, inspections, strict=True)
        ),
        strict=True,
    )
    first, second = (
        Points.isotropic(xy, sigma / _UM_PER_MM) for xy, sigma in zip(places, options.sigma_nm, strict=True)
    )
    area_um2, area_from = _area(options, first, second)
    matching = match_defects(first, second, area_um2, found_again=options.found_again)
    shift = None
    if options.align:
        second, shift = _aligned(first, second, matching)
        matching = match_defects(first, second, area_um2, found_again=options.found_again)
    names = tuple(_identities(table)[kept] for table, kept in zip(tables, rows, strict=True))
    return _match_answer(matching, (names[0], names[1])) | {
        "inspections": list(inspections),
        "shift_um": shift,
        "conventions": {
            "probability": "that the two are one defect, all rivals weighed, by the errors of both places",
            "assigned": "in the most probable one-to-one assignment",
        },
        "provenance": {
            "algorithm": "marginal association by belief propagation",
            "algorithm_version": SIGNATURE_VERSION,
            "parameters": asdict(options) | {"area_um2": area_um2, "area_from": area_from, "density": matching.density},
            "device": "cpu",
            "precision": "float64",
        },
    }


def _match_answer(matching: Matching, names: tuple[NDArray[np.int64], NDArray[np.int64]]) -> dict[str, Any]:
    """Return the pairs by the defects' own numbers, and who is alone."""
    same = [each for each in matching.matches if each.assigned]
    alone = [
        dict(zip(map(str, own.tolist()), part.tolist(), strict=False))
        for own, part in zip(names, (matching.first_alone, matching.second_alone), strict=True)
    ]
    return {
        "verdict": "common" if same else "nothing-common",
        "counts": {"first": len(names[0]), "second": len(names[1]), "common": len(same)},
        "expected_common": float(sum(each.probability for each in matching.matches)),
        "matches": [
            {
                "first": int(names[0][each.first]),
                "second": int(names[1][each.second]),
                "probability": each.probability,
                "distance_um": each.distance_um,
                "deviations": each.deviations,
                "assigned": each.assigned,
            }
            for each in matching.matches
            if each.assigned or each.probability >= 0.01
        ],
        "first_alone": alone[0],
        "second_alone": alone[1],
    }


def _area(options: MatchOptions, first: Points, second: Points) -> tuple[float, str]:
    if options.area_mm2 is not None:
        return options.area_mm2 * _UM_PER_MM**2, "given"
    everything = np.concatenate([first.xy, second.xy])
    if len(everything) < 3:
        raise CorruptField("too few defects tell the inspected area: give it", expected=3, found=len(everything))
    sides = everything.max(axis=0) - everything.min(axis=0)
    return float(sides.prod()), "the box around all defects"


def _aligned(first: Points, second: Points, matching: Matching) -> tuple[Points, list[float] | None]:
    """Return ``second`` shifted onto ``first`` by their sure pairs, and the shift; ``None`` where there are too few."""
    sure = [each for each in matching.matches if each.assigned and each.probability >= _ALIGN_FROM]
    if len(sure) < _ALIGN_PAIRS:
        return second, None
    here, there = [each.first for each in sure], [each.second for each in sure]
    source = Points(second.xy[there], second.covariance[there])
    fitted = fit_registration(source, Points(first.xy[here], first.covariance[here]), "translation")
    return fitted.transform.apply(second), fitted.transform.shift.tolist()


def match_paths(first: Path, second: Path, options: MatchOptions) -> dict[str, Any]:
    """Return the answer of ``faultlight mask match --json``; raises what reading and matching raise."""
    return match_files((first, first.name), (second, second.name), options)


def match_files(first: tuple[Path, str], second: tuple[Path, str], options: MatchOptions) -> dict[str, Any]:
    """Return the matches of two files, each with the name it is to be called by.

    Raises:
        CorruptField: a file holds several samples; else what reading and matching raise.
    """
    tables = []
    for path, name in (first, second):
        found = read_defects(path, name)
        if len(found) != 1:
            raise CorruptField("inspections are matched sample by sample", file=name, expected=1, found=len(found))
        tables.append(found[0])
    return match_document((tables[0], tables[1]), options, (first[1], second[1]))
