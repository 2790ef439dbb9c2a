"""How values are written, and the drawings: nothing claims more than it knows, nothing breaks on odd input."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from services.web import formatting
from services.web.control_plot import plot_charts
from services.web.heat_map import WIDE, draw

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.000"), (1.0, "1.000"), (0.0004, "< 0.001"), (0.0005, "0.001"), (0.9994, "0.999"), (0.99999, "> 0.999"),
        (0.5, "0.500"), (None, "\N{EN DASH}"), (1e-300, "< 0.001"),
    ],
)  # fmt: skip
def test_a_probability_never_rounds_to_certainty(value: float | None, text: str) -> None:
    assert formatting.write_probability(value) == text


def test_numbers_have_units_and_no_false_digits() -> None:
    assert formatting.write_si(3.125e-10, "s") == "312.5 ps"
    assert formatting.write_si(0, "s") == "0 s"
    assert formatting.write_si(math.nan, "V") == formatting.write_si(None, "V") == formatting.UNKNOWN
    assert formatting.write_si(-2e9, "Hz") == "-2 GHz"
    assert (formatting.write_bytes(0), formatting.write_bytes(1 << 20), formatting.write_bytes(2**60)) == (
        "0 B", "1 MiB", "1.05e+06 TiB",
    )  # fmt: skip
    assert formatting.write_number(1.0, 4) == "1.000"
    assert formatting.write_number(1234567) == "1\u202f234\u202f567"
    assert formatting.write_number(math.inf) == formatting.write_fixed(math.nan) == formatting.UNKNOWN
    assert (formatting.write_fixed(-0.004), formatting.write_fixed(-0.006)) == ("0.00", "-0.01")


@pytest.mark.parametrize(
    ("value", "span", "text"),
    [
        (0.99975, 0.0005, "0.999750"), (1.00025, 0.0005, "1.000250"), (-3.0, 250.0, "-3"), (0.2, 5.0, "0.20"),
        (1.25e-13, 4e-14, "1.250e-13"), (2.5e12, 1e12, "2.50e+12"), (0.0, 1e-12, "0.00e+00"), (1.0, 0.0, "1.000"),
        (1.0, math.inf, "1.000"), (math.nan, 1.0, formatting.UNKNOWN), (None, None, formatting.UNKNOWN),
    ],
)  # fmt: skip
def test_ends_of_a_range_are_told_apart(value: float | None, span: float | None, text: str) -> None:
    assert formatting.write_resolving(value, span) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.6, "1 min"), (95, "1 min 35 s"), (3600, "1 h"), (5400, "1 h 30 min"), (90 * 3600, "3 d 18 h")],
)
def test_durations_have_two_units_at_most(seconds: float, text: str) -> None:
    assert formatting.write_duration(seconds) == text


def test_times_are_in_utc_and_say_how_long_ago() -> None:
    assert formatting.write_age(NOW - timedelta(minutes=30), NOW) == "30 min ago"
    assert formatting.write_age("2026-03-01T14:00:00+01:00", NOW) == "in 1 h"
    assert "2026-03-01 13:00" in formatting.write_moment("2026-03-01T14:00:00+01:00")
    assert formatting.write_moment(None) == formatting.UNKNOWN


def test_what_cannot_be_printed_is_written_as_a_number() -> None:
    assert formatting.write_plainly("found \x00\x1b, not µ") == "found \\x00\\x1b, not µ"


def test_documents_are_escaped_wherever_they_are_deep() -> None:
    text = str(formatting.write_json({"<a>": [{"b": "<script>"}], "c": [], "d": None}))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "&lt;a&gt;" in text


def test_a_localization_without_places_is_not_drawn() -> None:
    assert draw({"candidates": [{"net": "a", "fault": "SA0", "posterior": 1.0, "x_um": None}]}) is None
    assert draw({}) is None


def test_the_drawing_turns_y_over_and_shows_95_percent_ellipses() -> None:
    body = {
        "candidates": [{"net": "a", "fault": "SA0", "posterior": 0.9, "x_um": 1.0, "y_um": 5.0}],
        "waveforms": [
            {"net": "b", "p_faulty": None,
             "spot": {"x_um": 2.0, "y_um": 1.0, "ellipse": {"major_nm": 100.0, "minor_nm": 50.0, "angle_deg": 30.0}}},
        ],
        "next_probes": [],
        "heat_map": {
            "x_um": 0.0, "y_um": 0.0, "cell_um": 1.0, "columns": 6, "rows": 6,
            "cells": [
                {"column": 1, "row": 5, "probability": 0.9, "resembling": 0.0, "credible": 0.9, "nets": ["a"]},
                {"column": 2, "row": 1, "probability": 0.08, "resembling": 0.0, "credible": 0.98, "nets": ["c"]},
                {"column": 3, "row": 1, "probability": 0.0005, "resembling": 0.0, "credible": 0.99, "nets": ["d"]},
            ],
        },
    }  # fmt: skip
    found = draw(body)
    assert found is not None
    assert found.suspects[0].y < found.spots[0].y
    assert (found.spots[0].major, found.spots[0].angle_deg) == (pytest.approx(0.1 * WIDE), -30.0)
    assert [cell.credible for cell in found.cells] == [True, True]
    assert found.cells[0].opacity > found.cells[1].opacity
    assert found.scale_bar_um in (1.0, 2.0)


def chart(values: list[float], **changes: object) -> dict[str, object]:
    points = [
        {"reading_id": str(at), "observed_at": (NOW + timedelta(hours=at)).isoformat(), "value": value, "sigma": None,
         "phase": 2}
        for at, value in enumerate(values)
    ]  # fmt: skip
    return {"points": points, "charts": [], "signals": []} | changes


def test_readings_without_limits_are_drawn_and_not_judged() -> None:
    (plot,) = plot_charts(chart([1.0, 2.0, 1.5]), "V")
    assert plot.centre_y is None
    assert [point.out for point in plot.points] == [False] * 3
    assert plot.points[1].y < plot.points[0].y


@pytest.mark.parametrize("values", [[0.5], [0.0, 0.0], [1e-300, 1e300], [-5.0] * 4])
def test_charts_of_odd_values_stay_on_the_paper(values: list[float]) -> None:
    (plot,) = plot_charts(chart(values), "V")
    assert all(plot.top - 1 <= point.y <= plot.bottom + 1 for point in plot.points)
    assert plot_charts(chart([]), "V") == []


def test_points_at_which_a_rule_fired_are_marked_on_their_chart_only() -> None:
    drawn = [
        {"kind": kind, "centre": 1.0, "statistic": [1.0, 9.0], "lower": [0.0, 0.0], "upper": [2.0, 2.0]}
        for kind in ("individuals", "ewma")
    ]
    signals = [{"chart": "individuals", "reading_id": "1"}]
    first, second = plot_charts(chart([1.0, 9.0], charts=drawn, signals=signals), "V")
    assert [point.out for point in first.points] == [False, True]
    assert [point.out for point in second.points] == [False, False]


def test_commands_in_a_sentence_are_code_and_everything_else_is_escaped() -> None:
    assert formatting.write_commands("Start `faultlight worker <name>` & wait.") == (
        "Start <code>faultlight worker &lt;name&gt;</code> &amp; wait."
    )
    assert formatting.write_commands("a lone ` stays, <b> too") == "a lone ` stays, &lt;b&gt; too"
