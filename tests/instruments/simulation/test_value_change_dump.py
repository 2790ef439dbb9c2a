import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.adapter import Confidence
from instruments.errors import (
    CorruptField,
    CountMismatch,
    InstrumentError,
    ReaderCrashed,
    Truncated,
    UnsupportedVersion,
)
from instruments.records import DigitalTrace
from instruments.simulation import value_change_copy, value_change_dump
from instruments.simulation.value_change_dump import ValueChangeDumpAdapter
from tests.instruments.simulation.sources import read_all, source_of, written

ADAPTER = ValueChangeDumpAdapter()
# file: variables, value changes of all variables after de-duplication (MANIFEST.csv: pywellen's counts)
REAL_FILES = {
    "vcd/ghdl__alu.vcd": (25, 590, 1e-15),
    "vcd/icarus__counter_tb.vcd": (8, 90, 1.0),
    "vcd/model-sim__clkdiv2n_tb.vcd": (11, 184, 1e-9),
    "vcd/nvc__manytypes2.vcd": (32, 85, 1e-15),
    "vcd/questa-sim__test.vcd": (26, 520, 1e-9),
    "vcd/verilator__vlt_dump.vcd": (736, 3716, 1e-9),
    "vcd/wikipedia__example.vcd": (7, 17, 1e-12),
    "fst/icarus__CPU.vcd.fst": (274, 10266, 1.0),
    "fst/nvc__manytypes2.fst": (32, 85, 1e-15),
    "fst/verilator__basic_test.fst": (7, 32, 1e-12),
}
HEAD = "$timescale 1ns $end\n$scope module t $end\n"
TAIL = "$upscope $end\n$enddefinitions $end\n"
EXTENDED = "extended value change dumps (EVCD, $dumpports) are not read: dump the signals with $dumpvars instead"


def traces(source) -> dict[str, DigitalTrace]:
    records = read_all(ADAPTER, source)
    assert all(isinstance(record, DigitalTrace) for record in records)
    return {record.name: record for record in records}


def changes(trace: DigitalTrace) -> list[tuple[int, str]]:
    assert trace.ticks.dtype == np.int64
    return list(zip(trace.ticks.tolist(), trace.values, strict=True))


@pytest.mark.shared_data
@pytest.mark.parametrize("name", REAL_FILES)
def test_real_dumps_have_the_manifests_counts(shared_data, name):
    variables, total, timescale_s = REAL_FILES[name]
    source = source_of(shared_data / "formats" / name)
    assert ADAPTER.sniff(source).confidence is Confidence.CERTAIN
    form, records = ADAPTER.read(source)
    records = list(records)
    assert form == name.rsplit(".", 1)[-1]
    assert len(records) == variables
    assert sum(len(record.values) for record in records) == total
    assert {record.timescale_s for record in records} == {timescale_s}
    probably_unset = ("a timescale of 1 s from Icarus Verilog was probably never set",)
    assert {record.warnings for record in records} == {probably_unset if timescale_s == 1.0 else ()}
    for record in records:
        assert (np.diff(record.ticks) >= 0).all()
        assert record.width == 0 or all(len(value) == record.width for value in record.values)


@pytest.mark.shared_data
def test_one_circuit_in_both_formats(shared_data):
    dump = read_all(ADAPTER, source_of(shared_data / "formats/vcd/nvc__manytypes2.vcd"))
    packed = read_all(ADAPTER, source_of(shared_data / "formats/fst/nvc__manytypes2.fst"))
    assert [changes(trace) for trace in dump] == [changes(trace) for trace in packed]
    assert [trace.width for trace in dump] == [trace.width for trace in packed]


@pytest.mark.shared_data
def test_aliases_share_their_identifier(shared_data):
    found = traces(source_of(shared_data / "formats/vcd/icarus__counter_tb.vcd"))
    assert found["counter_tb.clock"].identifier == found["counter_tb.top.clock"].identifier == '"'
    assert changes(found["counter_tb.clock"]) == changes(found["counter_tb.top.clock"])
    assert found["counter_tb.out"].identifier != found["counter_tb.top.out"].identifier
    assert changes(found["counter_tb.out"])[:3] == [(0, "xx"), (2, "00"), (6, "01")]


@pytest.mark.shared_data
def test_split_vectors_are_joined(shared_data):
    found = traces(source_of(shared_data / "formats/vcd/model-sim__clkdiv2n_tb.vcd"))
    vector = found["clkdiv2n_tb.t1.r_nxt"]
    assert (vector.width, vector.identifier) == (3, ") * +")
    assert changes(vector)[:3] == [(0, "xxx"), (5, "001"), (30, "010")]


@pytest.mark.shared_data
def test_the_real_dump_with_fractional_time_stamps(shared_data):
    found = traces(source_of(shared_data / "formats/vcd/migen__fractional_time_stamp.vcd"))
    # MANIFEST.csv: 15 tokens, of which one asserts orgate0 again.
    assert sum(len(trace.values) for trace in found.values()) == 14
    assert changes(found["sys_clk"])[:5] == [(0, "0"), (32, "1"), (60, "0"), (90, "1"), (120, "0")]
    assert changes(found["sys_clk"])[5:] == [(150, "1"), (150, "0")]
    assert {trace.timescale_s for trace in found.values()} == {None}
    assert found["sys_clk"].vendor_metadata["ticks_per_stamp"] == 10
    assert found["sys_clk"].warnings == (
        "the dump has no $timescale: the length of a tick is unknown",
        "time stamps have fractions: a tick here is 1/10 of one in the dump",
    )


def test_fractions_make_finer_ticks(tmp_path):
    text = "$timezero 3 $end\n" + HEAD + '$var wire 1 # a $end\n$var wire 4 "# b [3:0] $end\n' + TAIL
    text += '#0 0# b0 "#\n#1.50\n1#\n$comment #7.125 $end\n#2.25 b101 "#\n#4\n0#\n'
    found = traces(written(tmp_path, "x.vcd", text))
    assert changes(found["t.a"]) == [(0, "0"), (150, "1"), (400, "0")]
    assert changes(found["t.b"]) == [(0, "0000"), (225, "0101")]
    assert {trace.timescale_s for trace in found.values()} == {1e-11}
    assert {trace.initial_ticks_offset for trace in found.values()} == {300}


def test_fractions_that_are_none_change_nothing(tmp_path):
    text = HEAD + "$var wire 1 ! a $end\n" + TAIL + "#0.0\n0!\n#5.00\n1!\n"
    (trace,) = traces(written(tmp_path, "x.vcd", text)).values()
    assert (changes(trace), trace.timescale_s, trace.warnings) == ([(0, "0"), (5, "1")], 1e-9, ())


def test_a_byte_order_mark_is_passed_over(tmp_path):
    text = "\ufeff" + HEAD + "$var wire 1 ! a $end\n" + TAIL + "#0\n0!\n"
    source = written(tmp_path, "x.vcd", text)
    assert ADAPTER.sniff(source).confidence is Confidence.CERTAIN
    assert changes(traces(source)["t.a"]) == [(0, "0")]


def test_kinds_of_values(tmp_path):
    text = (
        "$date today $end $version own writer $end\n" + HEAD + "$var wire 4 ! bus [3:0] $end\n"
        '$var real 64 " r $end\n$var string 0 # s $end\n$var event 1 $ e $end\n$var logic 1 % u $end\n'
        + TAIL
        + '#0\nb1 !\nr1.5e-3 "\nsIDLE #\nU%\n'
        + '#5\nbz !\nb0X !\nr0.0015 "\nsA\\x20\\\\B #\n1$\n1$\n#7\nb00zx !\nrnan "\n1%\n'
    )
    found = traces(written(tmp_path, "x.vcd", text))
    assert changes(found["t.bus"]) == [(0, "0001"), (5, "zzzz"), (5, "000x"), (7, "00zx")]
    assert changes(found["t.r"]) == [(0, "0.0015"), (7, "nan")]
    assert changes(found["t.s"]) == [(0, "IDLE"), (5, "A \\B")]
    assert changes(found["t.e"]) == [(5, "1"), (5, "1")]
    assert changes(found["t.u"]) == [(0, "u"), (7, "1")]
    assert [trace.width for trace in found.values()] == [4, 0, 0, 1, 1]
    assert [trace.kind for trace in found.values()] == ["wire", "real", "string", "event", "logic"]
    assert math.isclose(found["t.bus"].timescale_s, 1e-9)
    assert found["t.bus"].vendor_metadata == {
        "date": "today",
        "version": "own writer",
        "timescale": "1ns",
        "last_tick": 7,
        "ticks_per_stamp": 1,
        "declared": ["bus [3:0]"],
    }


def test_time_zero_is_kept_as_an_offset(tmp_path):
    text = "$timezero -100 $end\n" + HEAD + "$var wire 1 ! a $end\n" + TAIL + "#0\n0!\n#5\n1!\n"
    (trace,) = traces(written(tmp_path, "x.vcd", text)).values()
    assert trace.initial_ticks_offset == -100
    assert changes(trace) == [(0, "0"), (5, "1")]


def test_reassertions_are_no_changes(tmp_path):
    text = HEAD + "$var wire 1 ! a $end\n" + TAIL + "#0\n0!\n#1\n0!\n#2\n1!\n$dumpall\n1!\n$end\n#3\n1!\n0!\n1!\n"
    (trace,) = traces(written(tmp_path, "x.vcd", text)).values()
    assert changes(trace) == [(0, "0"), (2, "1"), (3, "0"), (3, "1")]


def test_missing_timescale_is_unknown_not_guessed(tmp_path):
    text = "$var wire 1 ! a $end\n$enddefinitions $end\n#0\n0!"
    (trace,) = traces(written(tmp_path, "x.vcd", text)).values()
    assert trace.timescale_s is None
    assert trace.warnings == (
        "the dump has no $timescale: the length of a tick is unknown",
        "the last line has no line end: the dump may be cut",
    )


def test_a_dump_without_changes(tmp_path):
    text = HEAD + "$var wire 1 ! a $end\n$var wire 2 ! b [1:0] $end\n".replace("2 !", '2 "') + TAIL
    found = traces(written(tmp_path, "x.vcd", text))
    assert {name: (changes(trace), trace.warnings) for name, trace in found.items()} == {
        "t.a": ([], ("the dump holds no value change",)),
        "t.b": ([], ("the dump holds no value change",)),
    }


def test_same_names_in_reopened_scopes(tmp_path):
    scope = "$scope module m $end\n$var wire 1 {} x $end\n$upscope $end\n"
    text = "$timescale 1ps $end\n" + scope.format("!") + scope.replace("m $", "k $").format('"') + scope.format("#")
    records = read_all(ADAPTER, written(tmp_path, "x.vcd", text + '$enddefinitions $end\n#0\n0!\n1"\n1#\n'))
    assert sorted((trace.name, trace.identifier, trace.values) for trace in records) == [
        ("k.x", '"', ("1",)),
        ("m.x", "!", ("0",)),
        ("m.x", "#", ("1",)),
    ]


DECLARED = '$var wire 2 ! a [1:0] $end\n$var real 64 " r $end\n'


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (
            "#0\nb1 %\n",
            CorruptField,
            "a value change of an identifier that no $var declares at line 8 (found %)",
        ),
        (
            "#0\nb111 !\n",
            CorruptField,
            "identifier ! gets a value it cannot hold: 3 bits for 2 at line 8 (found b111)",
        ),
        (
            '#0\nb1 "\n',
            CorruptField,
            'identifier " gets a value it cannot hold: not a real at line 8 (found b1)',
        ),
        (
            "#0\nr1.5 !\n",
            CorruptField,
            "identifier ! gets a value it cannot hold: not bits at line 8 (found r1.5)",
        ),
        (
            '#0\nr1.5.2 "\n',
            CorruptField,
            "identifier \" gets a value it cannot hold: could not convert string to float: '1.5.2'"
            " at line 8 (found r1.5.2)",
        ),
        ("#5\nb1 !\n#3\nb0 !\n", CorruptField, "time runs backwards at line 9 (expected >= 5, found 3)"),
        ("#1e3\n", CorruptField, "the time stamp is not a whole number of ticks at line 7 (found #1e3)"),
        (
            "#9223372036854775808\n",
            CorruptField,
            "the time stamp does not fit 63 bits at line 7 (found 9223372036854775808)",
        ),
        ("#0\nb1 !\n#5\n1", Truncated, "a value change has no identifier at line 10"),
        (
            "#1.2345678901234567890\n",
            CorruptField,
            "the time stamp is not a whole number of ticks at line 7 (found #1.2345678901234567890)",
        ),
        ("#0\nb1", Truncated, "the dump ends within a value change at line 8"),
        ("#0\n$dumpflush\n", UnsupportedVersion, "unknown statement at line 8 (found $dumpflush)"),
        (
            "#0\npD 6 0 <0\n",
            UnsupportedVersion,
            f"{EXTENDED} at line 8",
        ),
        ("#0\n$dumpports\npD 6 0 !\n", UnsupportedVersion, f"{EXTENDED} at line 8"),
        ("#0\n$comment never closed\n", Truncated, "$comment has no $end at line 8"),
    ],
)
def test_bodies_refused_in_full(tmp_path, body, kind, message):
    source = written(tmp_path, "x.vcd", HEAD + DECLARED + TAIL + body)
    with pytest.raises(InstrumentError) as caught:
        read_all(ADAPTER, source)
    assert type(caught.value) is kind
    assert str(caught.value) == f"x.vcd: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + DECLARED, "x.vcd: the dump ends before $enddefinitions at line 4"),
        (HEAD + "$var wire 1 ! a", "x.vcd: $var has no $end at line 3"),
        (HEAD + TAIL + "#0\n", "x.vcd: the dump declares no variable"),
        (
            HEAD + "$var wire 1 ! a $end\n$var wire 2 ! b $end\n" + TAIL,
            "x.vcd: identifier ! is declared with two widths at line 4 (expected 1, found 2)",
        ),
        (HEAD + "$var port 1 <0 a $end\n" + TAIL + "#0\npD 6 0 <0\n", f"x.vcd: {EXTENDED} at line 7"),
        (
            HEAD + '$var wire 0 ! a $end\n$var wire 1 " b $end\n' + TAIL + "#0\nb0 !\n",
            "x.vcd: a variable without bits gets a value at line 8 (found b0)",
        ),
        (
            HEAD + "$var wire ! a $end\n",
            "x.vcd: $var is not kind, width, identifier, name at line 3 (found wire ! a)",
        ),
        (
            "$timescale 3 ns $end\n",
            "x.vcd: $timescale is not 1, 10 or 100 of s to fs at line 1 (found 3 ns)",
        ),
        (
            "$timescale 1 ns $end\n$timescale 1 ps $end\n",
            "x.vcd: the dump has a second $timescale at line 2",
        ),
        (
            HEAD + "$var port [3:0] <0 a $end\n" + TAIL,
            f"x.vcd: {EXTENDED} at line 3",
        ),
        ("$timezero soon $end\n", "x.vcd: $timezero is not a whole number at line 1 (found soon)"),
        ("$upscope $end\n", "x.vcd: $upscope closes a scope that is not open at line 1"),
        ("$fancy 1 $end\n", "x.vcd: unknown header command at line 1 (found $fancy)"),
        ("hello\n", "x.vcd: the header has a word outside any command at line 1 (found hello)"),
    ],
)
def test_headers_refused_in_full(tmp_path, text, message):
    with pytest.raises(InstrumentError) as caught:
        read_all(ADAPTER, written(tmp_path, "x.vcd", text))
    assert str(caught.value) == message


def test_what_other_tools_write_of_variables_is_read(tmp_path):
    """Ports in plain dumps (GTKWave), variables without bits (CXXRTL, Spade), attributes without what they refer to."""
    text = (
        "$attrbegin misc 04 2 19 $end\n$attrbegin misc 02 STD_LOGIC 1030 $end\n$var port 2 3 p[1:0] $end\n"
        "$attrend $end\n"
        "$var wire 0 H nothing $end\n$var wire 1 ! a $end\n"
    )
    body = "#0\nb0 3\nb H\n0!\n#10\nb11 3\n#15\nb H\n1!\n"
    found = traces(written(tmp_path, "x.vcd", HEAD + text + TAIL + body))
    assert list(found) == ["t.p", "t.a", "t.nothing"]
    assert (found["t.p"].kind, found["t.p"].values, found["t.p"].ticks.tolist()) == ("port", ("00", "11"), [0, 10])
    assert (found["t.a"].values, found["t.a"].ticks.tolist()) == (("0", "1"), [0, 15])
    assert (found["t.nothing"].width, found["t.nothing"].values) == (0, ())
    assert found["t.a"].warnings == ("1 variables have no bits and hold nothing",)


def test_the_index_of_a_lone_bit_and_of_a_word_stays_in_the_name(tmp_path):
    text = (
        '$var wire 1 ! d [3] $end\n$var wire 1 " v [1] $end\n$var wire 1 # v [0] $end\n$var reg 8 % mem [5] $end\n'
        "$var reg 8 & mem [6] $end\n$var wire 1 ' m [0][1] $end\n$var wire 4 ( w [3:0] $end\n"
    )
    body = "#0\n1!\n1\"\n0#\nb1 %\nb10 &\n1'\nb1010 (\n#5\n0!\n"
    found = traces(written(tmp_path, "x.vcd", HEAD + text + TAIL + body))
    assert {name: trace.values[0] for name, trace in found.items()} == {
        "t.d[3]": "1",
        "t.v": "10",
        "t.mem[5]": "00000001",
        "t.mem[6]": "00000010",
        "t.m[0][1]": "1",
        "t.w": "1010",
    }
    assert changes(found["t.d[3]"]) == [(0, "1"), (5, "0")]


def test_brackets_in_an_escaped_name_are_a_part_of_it(tmp_path):
    """A synthesized netlist has nets of their own called ``\\q[0]`` and ``\\q[1]``: they are no vector."""
    text = (
        '$var wire 1 ! \\q[0] $end\n$var wire 1 " \\q[1] $end\n$var reg 8 # \\mem[2] [7:0] $end\n'
        "$var wire 4 % \\bus[3:0] $end\n$scope module u $end\n$var wire 1 ! \\q[0] $end\n$upscope $end\n"
    )
    body = '#0\n0!\n1"\nb1 #\nb1010 %\n#5\n1!\n'
    found = traces(written(tmp_path, "x.vcd", HEAD + text + TAIL + body))
    assert {name: changes(trace) for name, trace in found.items()} == {
        "t.\\q[0]": [(0, "0"), (5, "1")],
        "t.\\q[1]": [(0, "1")],
        "t.\\mem[2]": [(0, "00000001")],
        "t.\\bus": [(0, "1010")],
        "t.u.\\q[0]": [(0, "0"), (5, "1")],
    }
    assert found["t.\\q[0]"].identifier == found["t.u.\\q[0]"].identifier == "!"


def test_the_second_count_catches_what_the_reader_really_drops(tmp_path, monkeypatch):
    """Statements behind ``$enddefinitions $end`` on its own line, if they were left there."""
    monkeypatch.setattr(value_change_copy, "_is_plain", lambda path: True)
    source = written(tmp_path, "x.vcd", HEAD + DECLARED + TAIL.rstrip() + " #0 b0 ! #5 b1 !\n")
    with pytest.raises(CountMismatch) as caught:
        read_all(ADAPTER, source)
    assert str(caught.value) == (
        "x.vcd: the reader and the token count disagree about the changes of t.a (identifier !) (expected 2, found 0)"
    )


def test_the_second_count_catches_a_reader_that_drops_a_change(tmp_path, monkeypatch):
    source = written(tmp_path, "x.vcd", HEAD + "$var wire 1 ! a $end\n" + TAIL + "#0\n0!\n#1\n1!\n#2\n0!\n")
    load = value_change_dump._load
    monkeypatch.setattr(value_change_dump, "_load", lambda *args: tuple(part[:-1] for part in load(*args)))
    with pytest.raises(CountMismatch) as caught:
        read_all(ADAPTER, source)
    assert str(caught.value) == (
        "x.vcd: the reader and the token count disagree about the changes of t.a (identifier !) (expected 3, found 2)"
    )


def test_the_second_count_catches_a_reader_that_shifts_a_change(tmp_path, monkeypatch):
    source = written(tmp_path, "x.vcd", HEAD + "$var wire 1 ! a $end\n" + TAIL + "#0\n0!\n#1\n1!\n")
    monkeypatch.setattr(value_change_dump, "_load", lambda *_: ([0, 2], ["0", "1"]))
    with pytest.raises(CountMismatch) as caught:
        read_all(ADAPTER, source)
    assert str(caught.value) == (
        "x.vcd: the reader and the token count disagree about the values of t.a (identifier !) (expected 2, found 2)"
    )


def test_a_panic_in_the_reader_is_a_crash_of_the_reader(tmp_path):
    class PanicException(BaseException):
        pass

    def panic():
        raise PanicException("index out of\n bounds")

    with pytest.raises(ReaderCrashed) as caught:
        value_change_dump._guarded(panic, "x.vcd")
    assert str(caught.value) == "x.vcd: the reader pywellen crashed: index out of bounds"


def test_a_real_panic_is_caught(tmp_path):
    path = tmp_path / "x.vcd"
    path.write_text(HEAD + DECLARED + TAIL + "#0\nb111 !\n")

    def read_without_our_walk():
        waveform = value_change_dump._open(path, "x.vcd")
        return value_change_dump._load(waveform.all_vars()[0], "x.vcd")

    with pytest.raises(ReaderCrashed, match=r"^x\.vcd: the reader pywellen crashed: "):
        read_without_our_walk()


def test_keyboard_interrupts_pass():
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        value_change_dump._guarded(interrupt, "x.vcd")


@pytest.mark.shared_data
def test_what_the_reader_prints_stays_off_standard_output(shared_data, capfd):
    read_all(ADAPTER, source_of(shared_data / "formats/vcd/nvc__manytypes2.vcd"))
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "content", "confidence"),
    [
        ("a.txt", HEAD + "$var wire 1 ! a $end\n", Confidence.CERTAIN),
        ("a.txt", "\n\n$comment hello", Confidence.LIKELY),
        ("a.vcd", "", Confidence.POSSIBLE),
        ("a.txt", "$ 5 for a coffee", Confidence.NO),
        ("a.csv", "time_s,v\n0,1\n", Confidence.NO),
    ],
)
def test_sniff(tmp_path, name, content, confidence):
    assert ADAPTER.sniff(written(tmp_path, name, content)).confidence is confidence


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2), st.text("01xz", min_size=1, max_size=3)),
        min_size=1,
        max_size=30,
    )
)
def test_random_dumps_read_back(tmp_path_factory, steps):
    widths = (1, 3, 3)
    expected: list[list[tuple[int, str]]] = [[], [], []]
    lines, tick = ["#0"], 0
    for advance, which, bits in steps:
        if advance:
            tick += advance
            lines.append(f"#{tick}")
        value = bits[: widths[which]]
        lines.append(f"b{value} {which}" if which else f"{value}0")
        full = value.rjust(widths[which], "0" if value[0] == "1" else value[0])
        if not expected[which] or expected[which][-1][1] != full:
            expected[which].append((tick, full))
    declarations = "".join(f"$var wire {width} {i} n{i} $end\n" for i, width in enumerate(widths))
    source = written(tmp_path_factory.mktemp("dump"), "x.vcd", HEAD + declarations + TAIL + "\n".join(lines) + "\n")
    found = traces(source)
    assert [changes(found[f"t.n{i}"]) for i in range(3)] == expected


def raw_tokens(path):
    """Value changes in the text after the header by identifier, counted without any notion of variables."""
    body = path.read_bytes().split(b"$enddefinitions", 1)[1].split()[1:]
    counts, previous, k = {}, {}, 0
    while k < len(body):
        token = body[k]
        k += 1
        if token[:1] in b"#$" and not (token[:1] == b"$" and len(token) == 1):
            continue
        if token[:1] in b"bBrRsS":
            value, name = token[1:], body[k]
            k += 1
        else:
            value, name = token[:1], token[1:]
        counts[name] = counts.get(name, 0) + (previous.get(name) != value)
        previous[name] = value
    return counts


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "name", [*(name for name in REAL_FILES if name.startswith("vcd")), "vcd/migen__fractional_time_stamp.vcd"]
)
def test_transitions_by_identifier_are_those_of_a_raw_token_count(shared_data, name):
    path = shared_data / "formats" / name
    expected = raw_tokens(path)
    single = {}
    for record in read_all(ADAPTER, source_of(path)):
        if " " not in record.identifier:  # a vector that the dump splits into bits has several
            single[record.identifier.encode()] = len(record.values)
    assert single
    assert single == {identifier: expected.get(identifier, 0) for identifier in single}


@pytest.mark.parametrize(
    "turn",
    [
        lambda text: text.replace("\n", " ") + "\n",
        lambda text: text.replace(" ", "\t"),
        lambda text: text.replace("module", "root"),
        lambda text: "\ufeff" + text.replace("\n", " ").replace("#7", "#6.5") + "\n",
    ],
)
def test_white_space_and_kinds_of_scopes_mean_nothing(tmp_path, turn):
    """Line ends are white space as any other (IEEE Std 1364-2005, 18.2); simulators name scopes of their own."""
    text = HEAD + "$var wire 1 ! a $end\n$var wire 4 # b [3:0] $end\n" + TAIL + "#5\n0!\nb10 #\n#7\n1!\n"
    found = traces(written(tmp_path, "dump.vcd", turn(text)))
    ticks = (50, 65) if "6.5" in turn(text) else (5, 7)
    assert changes(found["t.a"]) == [(ticks[0], "0"), (ticks[1], "1")]
    assert changes(found["t.b"]) == [(ticks[0], "0010")]
