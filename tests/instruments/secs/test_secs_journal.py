"""Journals of SECS messages: what becomes of each message, what is flagged, every refusal."""

import hashlib
import io
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.adapter import Confidence
from instruments.bundle import open_source
from instruments.errors import (
    CorruptField,
    CountMismatch,
    InstrumentError,
    NotThisFormat,
    ReadingLimit,
    Truncated,
    UnsupportedVersion,
)
from instruments.packing import PackedReading, pack
from instruments.registry import Registry, read_source
from instruments.secs import messages as messages_module
from instruments.secs.equipment_map import read_map
from instruments.secs.items import binary_item, boolean_item, encode_item, list_item, number_item, text_item
from instruments.secs.journal_lines import Heading, Received, read_journal, write_journal
from instruments.secs.secs_journal import SecsJournalAdapter

MAP = {
    "schema": "faultlight.secs-equipment/1",
    "events": {"1001": {"name": "MillingStarted", "reports": ["1"]}, "LotStart": "Lot started"},
    "reports": {"1": {"name": "Beam", "variables": ["2001", "2002"]}},
    "variables": {"2001": {"name": "BeamCurrent", "unit": "nA"}, "2002": {"name": "Clock", "clock": True}},
    "alarms": {"17": "Chamber pressure high"},
    "traces": {"5": {"name": "Beam", "variables": ["2001", "2003"], "period_s": 0.5}},
}
AT = "2026-11-24T11:37:21.123456Z"


def u4(value):
    return number_item("U4", value)


def message(number, stream, function, item, **changes):
    body = item if isinstance(item, bytes) else encode_item(item)
    return Received(number, AT, 3, 0, stream, function, True, number, body, **changes)


def event(*reports, number=1001, data_id=7):
    pairs = [list_item(u4(report), list_item(*values)) for report, values in reports]
    ceid = u4(number) if isinstance(number, int) else text_item(number)
    return list_item(u4(data_id), ceid, list_item(*pairs))


def written(items, mapping=MAP, first=1):
    file = io.BytesIO()
    write_journal(Heading("journal-id", "FIB-03", 4, first, mapping), items, file)
    return file.getvalue()


def read(tmp_path, content, name="x.secs.jsonl"):
    path = tmp_path / name
    path.write_bytes(content)
    source = open_source(path, scratch=tmp_path / "scratch")
    format_name, records = SecsJournalAdapter().read(source)
    assert format_name == "secs-journal"
    return {record.kind: record for record in records}


def rows(table, *names):
    return [
        tuple(
            table.columns[name][index].item()
            if hasattr(table.columns[name][index], "item")
            else table.columns[name][index]
            for name in names
        )
        for index in range(table.row_count)
    ]


def test_an_event_report_has_a_row_for_each_value(tmp_path):
    body = event((1, [number_item("F4", 1.5), text_item("2026112411372105")]))
    tables = read(tmp_path, written([message(1, 6, 11, body)]))
    table = tables["equipment_event"]
    assert rows(table, "event_id", "event_name", "report_id", "report_name", "variable_name", "position") == [
        ("1001", "MillingStarted", "1", "Beam", "BeamCurrent", 0),
        ("1001", "MillingStarted", "1", "Beam", "Clock", 1),
    ]
    assert rows(table, "value_text", "unit", "format", "count") == [
        ("1.5", "nA", "F4", 1),
        ("2026112411372105", "", "A", 1),
    ]
    assert table.columns["value_number"][0] == 1.5
    assert math.isnan(table.columns["value_number"][1])
    assert set(rows(table, "time", "equipment_time", "data_id")) == {(AT, "2026-11-24T11:37:21.050", "7")}
    assert table.columns["event_known"].all()
    assert table.columns["variable_known"].all()
    assert table.vendor_metadata["map"] == MAP
    assert tables["equipment_message"].warnings == ()


def test_unknown_ids_keep_their_numbers_and_are_flagged(tmp_path):
    body = event((9, [u4(4)]), number=555)
    tables = read(
        tmp_path,
        written([message(1, 6, 11, body), message(2, 5, 1, list_item(binary_item(1), u4(99), text_item("x")))]),
    )
    (row,) = rows(
        tables["equipment_event"], "event_id", "event_name", "event_known", "report_id", "report_known", "variable_id"
    )
    assert row == ("555", "", False, "9", False, "")
    assert rows(tables["equipment_event"], "value_text", "position") == [("4", 0)]
    assert rows(tables["equipment_alarm"], "alarm_id", "alarm_known", "alarm_text") == [("99", False, "x")]
    assert tables["equipment_message"].warnings == (
        "alarm 99 is not in the configuration (1 messages)",
        "event 555 is not in the configuration (1 messages)",
        "report 9 is not in the configuration (1 messages)",
    )


def test_a_report_with_another_number_of_values_gets_no_names(tmp_path):
    tables = read(tmp_path, written([message(1, 6, 11, event((1, [u4(1), u4(2), u4(3)])))]))
    table = tables["equipment_event"]
    assert rows(table, "value_text", "variable_id", "variable_known", "report_known", "unit") == [
        (text, "", False, False, "") for text in ("1", "2", "3")
    ]
    assert tables["equipment_message"].warnings == ("report 1 has 3 values where the configuration has 2 (1 messages)",)


def test_events_without_values_have_one_row(tmp_path):
    bodies = [event(), event((1, [])), event(number="LotStart")]
    tables = read(tmp_path, written([message(index, 6, 11, body) for index, body in enumerate(bodies, 1)]))
    assert rows(tables["equipment_event"], "message", "event_id", "report_id", "position", "format") == [
        (1, "1001", "", -1, ""),
        (2, "1001", "1", -1, ""),
        (3, "LotStart", "", -1, ""),
    ]


def test_annotated_reports_name_their_variables_themselves(tmp_path):
    pair = list_item(u4(2001), number_item("F8", 2.5))
    body = list_item(u4(0), u4(1001), list_item(list_item(u4(77), list_item(pair, list_item(u4(42), u4(1))))))
    table = read(tmp_path, written([message(1, 6, 13, body)]))["equipment_event"]
    assert rows(table, "variable_id", "variable_name", "variable_known", "unit", "value_text") == [
        ("2001", "BeamCurrent", True, "nA", "2.5"),
        ("42", "", False, "", "1"),
    ]


def test_values_of_every_kind_come_out_whole(tmp_path):
    values = [
        number_item("U8", (1 << 64) - 1),
        number_item("I2", -1, -2),
        boolean_item(True),
        binary_item(1, 255),
        list_item(text_item("a"), list_item(u4(5), number_item("F4"))),
        text_item(""),
        list_item(),
        number_item("F4", *[0.5] * 5000),
    ]
    body = event((3, values))
    table = read(tmp_path, written([message(1, 6, 11, body)]))["equipment_event"]
    assert rows(table, "position", "path", "element", "count", "format", "value_text")[:-1] == [
        (0, "", 0, 1, "U8", "18446744073709551615"),
        (1, "", 0, 2, "I2", "-1"),
        (1, "", 1, 2, "I2", "-2"),
        (2, "", 0, 1, "BOOLEAN", "true"),
        (3, "", 0, 2, "B", "01ff"),
        (4, "0", 0, 1, "A", "a"),
        (4, "1.0", 0, 1, "U4", "5"),
        (4, "1.1", 0, 0, "F4", ""),
        (5, "", 0, 0, "A", ""),
        (6, "", 0, 0, "L", ""),
    ]
    assert rows(table, "position", "count")[-1] == (7, 5000)
    assert json.loads(table.columns["value_text"][-1]) == ["0.5"] * 5000


@pytest.mark.parametrize(
    ("code", "is_set", "category", "name"),
    [
        (0x85, True, 5, "irrecoverable error"),
        (0x05, False, 5, "irrecoverable error"),
        (0x80, True, 0, ""),
        (0xFF, True, 127, ""),
    ],
)
def test_alarms(tmp_path, code, is_set, category, name):
    body = list_item(binary_item(code), u4(17), text_item("pressure 3e-4"))
    table = read(tmp_path, written([message(1, 5, 1, body)]))["equipment_alarm"]
    wanted = ("is_set", "alarm_code", "category", "category_name", "alarm_text", "alarm_name", "alarm_known")
    assert rows(table, *wanted) == [(is_set, code, category, name, "pressure 3e-4", "Chamber pressure high", True)]


def test_a_group_of_samples_is_told_apart(tmp_path):
    body = list_item(
        u4(5), u4(12), text_item("261124113721"), list_item(*(number_item("F4", each) for each in (1, 2, 3, 4)))
    )
    table = read(tmp_path, written([message(1, 6, 1, body)]))["equipment_trace"]
    assert rows(table, "sample_in_group", "variable_id", "variable_known", "position", "value_number", "unit") == [
        (0, "2001", True, 0, 1.0, "nA"),
        (0, "2003", False, 1, 2.0, ""),
        (1, "2001", True, 0, 3.0, "nA"),
        (1, "2003", False, 1, 4.0, ""),
    ]
    assert set(rows(table, "sample_number", "samples_in_group", "period_s", "equipment_time", "trace_name")) == {
        (12.0, 2, 0.5, "2026-11-24T11:37:21", "Beam")
    }
    assert table.units["period_s"] == "s"


def test_a_trace_that_does_not_fit_keeps_its_values_without_names(tmp_path):
    body = list_item(u4(5), u4(12), text_item("?"), list_item(u4(1), u4(2), u4(3)))
    tables = read(tmp_path, written([message(1, 6, 1, body)]))
    assert rows(tables["equipment_trace"], "value_text", "variable_id", "trace_known", "position") == [
        ("1", "", False, 0),
        ("2", "", False, 1),
        ("3", "", False, 2),
    ]
    assert tables["equipment_message"].warnings == (
        "trace 5 has 3 values where the configuration has 2 variables (1 messages)",
    )


def test_what_is_not_understood_is_in_the_list_with_its_reason(tmp_path):
    items = [
        message(10, 6, 11, list_item()),
        message(11, 6, 11, b"\xff\xff"),
        message(12, 7, 1, list_item(text_item("recipe"), u4(100))),
        message(13, 5, 1, list_item(binary_item(1, 2), u4(1), text_item(""))),
        message(14, 1, 1, b""),
    ]
    tables = read(tmp_path, written(items, first=10))
    assert list(tables) == ["equipment_message"]
    listed = rows(tables["equipment_message"], "message", "stream", "function", "read_as", "doubt", "text")
    assert listed == [
        (
            10,
            6,
            11,
            "malformed",
            "S6F11 cannot be read: an event report is no list of 3 (expected L[3], found L[0])",
            "0100",
        ),
        (
            11,
            6,
            11,
            "malformed",
            "S6F11 cannot be read: there is no such item format at byte 0 (found 0xff)",
            "ffff",
        ),
        (12, 7, 1, "other", "", '<L[2] <A "recipe"> <U4 100>>'),
        (
            13,
            5,
            1,
            "malformed",
            "S5F1 cannot be read: the alarm's code is no byte (expected B[1], found B[2])",
            encode_item(list_item(binary_item(1, 2), u4(1), text_item(""))).hex(),
        ),
        (14, 1, 1, "other", "", ""),
    ]


def test_repeats_are_listed_and_not_read_twice(tmp_path):
    body = event((1, [u4(1), text_item("x")]))
    items = [message(1, 6, 11, body), message(2, 6, 11, body, repeat_of=1), message(3, 6, 11, body, may_repeat=1)]
    tables = read(tmp_path, written(items))
    assert [each[0] for each in rows(tables["equipment_event"], "message")] == [1, 1, 3, 3]
    assert tables["equipment_event"].columns["may_repeat"][2] == 1
    assert rows(tables["equipment_message"], "read_as")[1] == ("repeat",)
    assert tables["equipment_message"].columns["repeat_of"][1:].tolist() == [1, 1]
    assert tables["equipment_message"].warnings == (
        "a message has the same content as one whose acknowledgement may have been lost (1 messages)",
    )


def test_without_a_configuration_everything_is_there_by_number(tmp_path):
    tables = read(tmp_path, written([message(1, 6, 11, event((1, [u4(1)])))], mapping=None))
    assert rows(tables["equipment_event"], "event_id", "report_id", "value_text") == [("1001", "1", "1")]
    assert (
        "the journal carries no configuration: ids have no names and values no units"
        in tables["equipment_message"].warnings
    )


def test_an_empty_journal_is_an_empty_list(tmp_path):
    tables = read(tmp_path, written([]))
    assert [(kind, table.row_count) for kind, table in tables.items()] == [("equipment_message", 0)]


def test_the_registry_knows_it_and_its_records_can_be_packed(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(written([message(1, 6, 11, event((1, [u4(1), text_item("x")])))]))
    result = read_source(open_source(path, scratch=tmp_path / "scratch"), Registry.load(strict=True))
    assert (result.adapter, result.format) == ("secs_journal", "secs-journal")
    pack(result, tmp_path / "packed")
    assert [record.kind for record in PackedReading.load(tmp_path / "packed").records] == ["table", "table"]


def test_other_json_lines_are_not_claimed(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"step": 1}\n')
    assert SecsJournalAdapter().sniff(open_source(path, scratch=tmp_path / "s")).confidence is Confidence.NO


def refusal(tmp_path, content):
    with pytest.raises(InstrumentError) as caught:
        read(tmp_path, content)
    return type(caught.value), str(caught.value)


GOOD = written([message(1, 6, 11, event()), message(2, 5, 1, list_item())])
LINES = GOOD.splitlines(keepends=True)


def edited(line, **changes):
    return json.dumps(json.loads(line) | changes, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize(
    ("content", "kind", "message_text"),
    [
        (b"".join(LINES[:3]), Truncated, "x.secs.jsonl: the journal ends without its last line at line 4"),
        (GOOD[:-1], Truncated, "x.secs.jsonl: the journal ends inside a line at line 4"),
        (
            LINES[0] + LINES[2] + LINES[3],
            CountMismatch,
            "x.secs.jsonl: a message is missing or in the wrong place at line 2 (expected 1, found 2)",
        ),
        (
            LINES[0] + LINES[1] + LINES[3],
            CountMismatch,
            "x.secs.jsonl: the last line counts another number of messages (expected 2, found 1)",
        ),
        (GOOD + b"\n", CorruptField, "x.secs.jsonl: something follows the last line at line 5"),
        (LINES[0] + b"{\n", CorruptField, None),
        (LINES[0] + b"[]\n", CorruptField, "x.secs.jsonl: a line is no JSON object at line 2"),
        (
            LINES[0] + edited(LINES[1], body="*"),
            CorruptField,
            "x.secs.jsonl: body is not right at line 2 (expected base64, found *)",
        ),
        (
            LINES[0] + edited(LINES[1], system="1"),
            CorruptField,
            "x.secs.jsonl: system is not right at line 2 (expected 8 hexadecimal digits, found 1)",
        ),
        (
            LINES[0] + edited(LINES[1], at="2026-11-24T11:37:21"),
            CorruptField,
            "x.secs.jsonl: at is not right at line 2 (expected a time with a zone, found 2026-11-24T11:37:21)",
        ),
        (
            LINES[0] + edited(LINES[1], at="now"),
            CorruptField,
            "x.secs.jsonl: at is not right at line 2 (expected an ISO 8601 time, found now)",
        ),
        (
            LINES[0] + edited(LINES[1], stream=128),
            CorruptField,
            "x.secs.jsonl: stream is not right at line 2 (expected a whole number up to 127, found 128)",
        ),
        (
            LINES[0] + edited(LINES[1], repeat_of=1),
            CorruptField,
            "x.secs.jsonl: repeat_of is not right at line 2 (expected a number below 1, found 1)",
        ),
        (
            edited(LINES[0], schema="faultlight.secs-journal/2"),
            UnsupportedVersion,
            "x.secs.jsonl: the journal's version is not known "
            "(expected faultlight.secs-journal/1, found faultlight.secs-journal/2)",
        ),
        (
            b"hello\n",
            NotThisFormat,
            "x.secs.jsonl: the first line is not the heading of a journal (found hello\n)",
        ),
        (
            written([], mapping={"schema": "other"}),
            UnsupportedVersion,
            "x.secs.jsonl: the configuration's schema is not known (expected faultlight.secs-equipment/1, found other)",
        ),
    ],
)
def test_damage_is_refused_with_its_place(tmp_path, content, kind, message_text):
    found = refusal(tmp_path, content)
    assert found[0] is kind
    assert message_text is None or found[1] == message_text


def test_a_changed_byte_is_seen(tmp_path):
    changed = GOOD.replace(b'"connection":3', b'"connection":4', 1)
    kind, text = refusal(tmp_path, changed)
    assert kind is CountMismatch
    right = hashlib.sha256(b"".join(LINES[:3])).hexdigest()
    assert text.startswith(f"x.secs.jsonl: the bytes are not those that were written (expected {right}, found ")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_mutant_is_read_as_something_else(data):
    """One damaged byte is refused, whatever byte it is: the checksum, or a rule before it."""
    place = data.draw(st.integers(0, len(GOOD) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != GOOD[place]))
    mutant = GOOD[:place] + bytes([byte]) + GOOD[place + 1 :]
    with pytest.raises(InstrumentError):
        read_everything(mutant)


def read_everything(content):
    heading, found = read_journal(io.BytesIO(content))
    read_map(heading.map_document)
    return list(found)


def test_too_many_values_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(messages_module, "MAX_ROWS", 3)
    kind, _ = refusal(tmp_path, written([message(1, 6, 11, event((1, [u4(1)] * 4)))]))
    assert kind is ReadingLimit


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ({"eventz": {}}, "the configuration has a part 'eventz'"),
        ({"events": []}, "events is no JSON object"),
        ({"events": {"1": {}}}, "events.1 has no name"),
        (
            {"events": {"1": {"name": "x", "reports": ["9"]}}},
            "event 1 names report 9, which the configuration does not define",
        ),
        ({"events": {"1": {"name": "x", "report": []}}}, "events.1 has 'report', which means nothing"),
        ({"reports": {"1": {"name": "x", "variables": [1]}}}, "reports.1.variables is no list of ids as text"),
        ({"variables": {"1": {"name": "x", "unit": 1}}}, "variables.1: unit is text and clock is true or false"),
        ({"traces": {"1": {"name": "x", "period_s": 0}}}, "traces.1.period_s is no positive number"),
    ],
)
def test_a_wrong_configuration_says_where(part, text):
    with pytest.raises(CorruptField) as caught:
        read_map({"schema": "faultlight.secs-equipment/1"} | part)
    assert caught.value.message == text
