import pytest

from instruments.adapter import Confidence
from instruments.errors import CorruptField, InstrumentError, UnsupportedVersion
from instruments.records import Gate
from instruments.simulation.bench_netlist import BenchNetlistAdapter
from tests.instruments.simulation.sources import read_netlist, written

ADAPTER = BenchNetlistAdapter()


def test_every_function_and_spelling(tmp_path):
    text = (
        "# a note\r\n"
        "input( a[0] )\r\nINPUT(b.c/d)\r\nINPUT(e$)\r\n\r\n"
        "OUTPUT(y)\r\nOUTPUT(q)\r\nOUTPUT(a[0])\r\n"
        "y = nand( a[0] ,b.c/d, e$ )  # why\r\n"
        "q=DFF(n1)\r\nn1 = XNOR(n2, q)\r\nn2 = BUFF(n3)\r\nn3 = Not(one)\r\none = vdd\r\n"
    )
    netlist = read_netlist(ADAPTER, written(tmp_path, "odd names.bench", text))
    assert netlist.name == "odd names"
    assert netlist.inputs == ("a[0]", "b.c/d", "e$")
    assert netlist.outputs == ("y", "q", "a[0]")
    assert netlist.gates == (
        Gate("y", "nand", "NAND", "y", ("a[0]", "b.c/d", "e$")),
        Gate("q", "DFF", "DFF", "q", ("n1",)),
        Gate("n1", "XNOR", "XNOR", "n1", ("n2", "q")),
        Gate("n2", "BUFF", "BUF", "n2", ("n3",)),
        Gate("n3", "Not", "NOT", "n3", ("one",)),
        Gate("one", "vdd", "CONST1", "one", ()),
    )
    assert netlist.warnings == ()
    assert netlist.vendor_metadata == {"comments": ["a note", "why"]}


def test_odd_but_sound_circuits_get_warnings(tmp_path):
    text = "# 3 inputs\n# 1 outputs\nINPUT(a)\nINPUT(b)\nOUTPUT(y)\ny = NOT(a)\nz = NOT(a)\n"
    netlist = read_netlist(ADAPTER, written(tmp_path, "x.bench", text))
    assert netlist.warnings == (
        "a comment says 3 inputs, the statements make 2",
        "inputs that feed nothing: b",
        "gate outputs that feed nothing: z",
    )


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ("y = AND(a, n)", CorruptField, "net n, an input of y, has no driver at line 3"),
        ("y = NOT(a)\ny = BUF(a)", CorruptField, "net y has a second driver, y; the first is on line 3 at line 4"),
        (
            "a = NOT(y)\ny = BUF(a)",
            CorruptField,
            "net a has a second driver, a; the first is on line 1 at line 3",
        ),
        ("n = NOT(a)", CorruptField, "output y has no driver at line 2"),
        (
            "y = MUX(a, a, a)",
            UnsupportedVersion,
            "function MUX of gate y is not of the .bench language at line 3",
        ),
        (
            "y = NOT(a, a)",
            CorruptField,
            "gate y (NOT) has the wrong number of inputs at line 3 (expected 1, found 2)",
        ),
        (
            "y = NAND(a)",
            CorruptField,
            "gate y (NAND) has the wrong number of inputs at line 3 (expected 2 or more, found 1)",
        ),
        (
            "y = DFF()",
            CorruptField,
            "gate y (DFF) has the wrong number of inputs at line 3 (expected 1, found 0)",
        ),
        ("y = AND(a, b c)", CorruptField, "an input of gate y is not a net name at line 3 (found b c)"),
        ("y = AND(a,)", CorruptField, "an input of gate y is not a net name at line 3 (found )"),
        (
            "y = NOT(n3)\nn1 = AND(a, n3)\nn2 = OR(a, n1)\nn3 = NOT(n2)",
            CorruptField,
            "combinational loop of 3 nets: n1 -> n2 -> n3 -> n1 at line 4",
        ),
        ("y = XOR(a, y)", CorruptField, "combinational loop of 1 nets: y -> y at line 3"),
        ("INPUT(a)\ny = NOT(a)", CorruptField, "input a is declared twice, first on line 1 at line 3"),
        ("y = NOT(a)\n\nOUTPUT(y)", CorruptField, "output y is declared twice, first on line 2 at line 5"),
        (
            "y = NOT(a",
            CorruptField,
            "the statement is neither a port nor a gate at line 3 (found y = NOT(a)",
        ),
        (
            "y = NOT(a) z = NOT(a)",
            CorruptField,
            "the statement is neither a port nor a gate at line 3 (found y = NOT(a) z = NOT(a))",
        ),
    ],
)
def test_refusals_in_full(tmp_path, body, kind, message):
    source = written(tmp_path, "x.bench", f"INPUT(a)\nOUTPUT(y)\n{body}\n")
    with pytest.raises(InstrumentError) as caught:
        read_netlist(ADAPTER, source)
    assert type(caught.value) is kind
    assert str(caught.value) == f"x.bench: {message}"


def test_a_flip_flop_breaks_a_loop(tmp_path):
    netlist = read_netlist(ADAPTER, written(tmp_path, "x.bench", "OUTPUT(q)\nq = DFF(d)\nd = NOT(q)\n"))
    assert [gate.function for gate in netlist.gates] == ["DFF", "NOT"]


def test_a_deep_chain_needs_no_recursion(tmp_path):
    depth = 20_000
    chain = "\n".join(f"n{i + 1} = NOT(n{i})" for i in range(depth))
    netlist = read_netlist(ADAPTER, written(tmp_path, "x.bench", f"INPUT(n0)\nOUTPUT(n{depth})\n{chain}\n"))
    assert len(netlist.gates) == depth


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x.bench: the file holds no circuit"),
        (b"# only a comment\n", "x.bench: the file holds no circuit"),
        (b"INPUT(\xff)\n", "x.bench: the text is not UTF-8 at byte 6"),
    ],
)
def test_files_without_a_circuit(tmp_path, content, message):
    with pytest.raises(CorruptField) as caught:
        read_netlist(ADAPTER, written(tmp_path, "x.bench", content))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "content", "confidence"),
    [
        ("c.txt", "# c\nINPUT(a)\nOUTPUT(y)\ny = NOT(a)\n", Confidence.CERTAIN),
        ("c.txt", "INPUT(a)\nOUTPUT(y)\ny = NOT(a)\noops\n", Confidence.LIKELY),
        ("c.bench", "", Confidence.POSSIBLE),
        ("c.txt", "time,value\n0,1\n", Confidence.NO),
        ("c.v", "module c(a); input a; endmodule\n", Confidence.NO),
    ],
)
def test_sniff(tmp_path, name, content, confidence):
    assert ADAPTER.sniff(written(tmp_path, name, content)).confidence is confidence


def test_sniff_ignores_the_line_that_the_head_cuts(tmp_path):
    lines = "".join(f"INPUT(a{i})\n" for i in range(10_000))
    assert ADAPTER.sniff(written(tmp_path, "big", lines)).confidence is Confidence.CERTAIN
