"""Tables of unit evidence: what is read, and the whole sentence of each refusal."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from instruments.adapter import Confidence
from instruments.electrical.unit_evidence import UnitEvidenceAdapter
from instruments.errors import InstrumentError
from tests.instruments.electrical.stress_tables import UNIT_EVIDENCE
from tests.instruments.mask.sources import read_all, written

HEAD = "unit_id,judged_at,outcome,known_at,electrical.iddq"


def read(folder: Path, text: str):
    return read_all(UnitEvidenceAdapter(), written(folder, "units.csv", text))[1][0]


def test_units_are_read_with_times_outcomes_and_features_in_their_units(tmp_path):
    table = read(tmp_path, UNIT_EVIDENCE)
    assert UnitEvidenceAdapter().sniff(written(tmp_path, "units.csv", UNIT_EVIDENCE)).confidence is Confidence.CERTAIN
    assert table.kind == "unit_evidence"
    assert list(table.columns["outcome"]) == ["survived", "failed", "", "survived"]
    assert list(table.columns["judged_at"])[1:3] == ["2024-01-02T09:30:00+00:00", "2024-02-01T00:00:00+00:00"]
    assert table.columns["known_at"][1] == "2024-03-01T12:00:00+02:00"
    assert table.units["electrical.iddq"] == "uA"
    assert np.array_equal(table.columns["electrical.iddq"], [1.25, 9.5, np.nan, 1.5], equal_nan=True)
    assert list(table.columns["Tool"]) == ["A", "A", "B", "B"]
    assert table.warnings == (
        "3 times of judged_at have no offset and are taken as UTC",
        "2 times of known_at have no offset and are taken as UTC",
        "the column Tool is no modality.feature and no evidence",
    )


def test_outcomes_without_features_are_a_table_of_their_own(tmp_path):
    text = (
        "# failed: 1\n# simulated: true\nserial,shipped_at,outcome,known_at,lot_id,wafer_id,die_x,die_y\n"
        "S1,2024-01-02,failed,2024-02-01,L1,W1,3,-4\nS2,2024-01-03,,,L1,,,\n"
    )
    table = read(tmp_path, text)
    assert table.kind == "unit_outcome"
    assert list(table.columns["outcome"]) == ["failed", ""]
    assert table.columns["die_x"][0] == 3
    assert np.isnan(table.columns["die_y"][1])
    with pytest.raises(InstrumentError, match="die_x is no whole number"):
        read(tmp_path, text.replace(",3,-4", ",3.5,-4"))


def test_parquet_says_what_comments_say_and_where_values_come_from(tmp_path):
    columns = {
        "unit_id": ["U1"],
        "judged_at": ["2024-01-02T00:00:00Z"],
        "electrical.iddq": [1.0],
        "electrical_source": ['{"result":"R1"}'],
    }
    path = tmp_path / "units.parquet"
    pq.write_table(pa.table(columns).replace_schema_metadata({"simulated": "true"}), path)
    (table,) = read_all(UnitEvidenceAdapter(), written(tmp_path, "units.parquet", path.read_bytes()))[1]
    assert table.vendor_metadata["comments"] == {"simulated": "true"}
    assert list(table.columns["electrical_source"]) == ['{"result":"R1"}']
    assert table.warnings == ()


def test_decimal_commas_are_read(tmp_path):
    table = read(
        tmp_path, "unit_id;judged_at;electrical.iddq\nU1;2024-01-01T00:00:00Z;1,25\nU2;2024-01-02T00:00:00Z;0,5\n"
    )
    assert list(table.columns["electrical.iddq"]) == [1.25, 0.5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{HEAD}\nU1,yesterday,,,1\n", "judged_at is no time as of ISO 8601"),
        (f"{HEAD}\nU1,,,,1\n", "judged_at is missing"),
        (f"{HEAD}\nU1,2024-01-02T00:00:00Z,dead,,1\n", "the outcome is none of failed, survived and nothing"),
        (f"{HEAD}\nU1,2024-01-02T00:00:00Z,failed,2024-01-01,1\n", "the outcome was known before the unit was judged"),
        (f"{HEAD}\nU1,2024-01-02T00:00:00Z,failed,,high\n", "electrical.iddq is no number"),
        (f"{HEAD}\nU1,2024-01-02T00:00:00Z,failed,,inf\n", "electrical.iddq is no number"),
        (f"{HEAD},electrical.iddq [uA]\nU1,2024-01-02T00:00:00Z,failed,,1,2\n", "two columns are electrical.iddq"),
        (
            "unit_id,judged_at\nU1,2024-01-02T00:00:00Z\n",
            "the table has no feature of a modality, such as electrical.iddq",
        ),
        (
            f"# failed: 2\n{HEAD}\nU1,2024-01-02T00:00:00Z,failed,,1\n",
            "the table does not hold as many failed units as it says",
        ),
        (f"# rows: 2\n{HEAD}\nU1,2024-01-02T00:00:00Z,failed,,1\n", "the table does not hold as many rows as it says"),
    ],
)
def test_what_is_wrong_is_refused_with_the_reason(tmp_path, text, message):
    with pytest.raises(InstrumentError) as caught:
        read(tmp_path, text)
    assert caught.value.message == message
