import pytest

from instruments.adapter import Confidence
from instruments.errors import CorruptField, InstrumentError, Truncated, UnsupportedVersion
from instruments.records import Gate
from instruments.simulation.verilog_netlist import VerilogNetlistAdapter
from tests.instruments.simulation.sources import read_netlist, written

ADAPTER = VerilogNetlistAdapter()
FLIP_FLOP = """
module dff(input CK, input D, output reg Q);
  initial Q = 1'b0;
  always @(posedge CK) Q <= D;
endmodule
"""


def read(tmp_path, text):
    return read_netlist(ADAPTER, written(tmp_path, "x.v", text))


def test_vectors_hierarchy_constants_and_escaped_names(tmp_path):
    netlist = read(
        tmp_path,
        FLIP_FLOP
        + """
(* keep *) module pair(input [1:0] i, output [0:1] o); not (o[0], i[1]); buf b1(o[1], i[0]); endmodule
module top(a, \\clk[0] , y, z, w, k);
 input [3:0] a; input \\clk[0] ; output [1:0] y; output z, w, k;
 supply0 gnd; wire n1; wire \\od/*d ; // nand x(a, b, c);
 nand #1 N1 (n1, a[0], a[1]), N2(z, a[2], a[3]);
 pair p (.i({n1, 1'b1}), .o(y));
 assign k = gnd;
 xor x1(\\od/*d , y[0], a[3]);
 dff f (\\clk[0] , \\od/*d , w); /* nor (k, a[0], "); */
endmodule
""",
    )
    assert netlist.name == "top"
    assert netlist.inputs == ("a[3]", "a[2]", "a[1]", "a[0]", "clk[0]")
    assert netlist.outputs == ("y[1]", "y[0]", "z", "w", "k")
    assert netlist.gates == (
        Gate("gnd", "supply0", "CONST0", "gnd", ()),
        Gate("N1", "nand", "NAND", "n1", ("a[0]", "a[1]")),
        Gate("N2", "nand", "NAND", "z", ("a[2]", "a[3]")),
        Gate("p.not 1", "not", "NOT", "y[1]", ("n1",)),
        Gate("constant 1'b1", "constant", "CONST1", "1'b1", ()),
        Gate("p.b1", "buf", "BUF", "y[0]", ("1'b1",)),
        Gate("assign k", "assign", "BUF", "k", ("gnd",)),
        Gate("x1", "xor", "XOR", "od/*d", ("y[0]", "a[3]")),
        Gate("f", "dff", "DFF", "w", ("od/*d",), {"CK": "clk[0]"}),
    )
    assert netlist.warnings == ()
    assert netlist.vendor_metadata == {
        "instances": {"buf": 1, "dff": 1, "nand": 2, "not": 1, "xor": 1},
        "physical_cells": {},
        "assignments": 1,
        "power_ports": [],
    }


def test_library_cells_with_power_pins_and_two_outputs(tmp_path):
    netlist = read(
        tmp_path,
        """module top(input a, b, c, VPWR, VGND, output s, y);
 wire nc;
 sky130_fd_sc_hd__fa_1 f(.A(a), .B(b), .CIN(c), .COUT(), .SUM(s), .VPWR(VPWR), .VGND(VGND), .VPB(VPWR), .VNB(VGND));
 sky130_fd_sc_hd__a21oi_1 g(.A1(a), .A2(b), .B1(c), .Y(y));
 sky130_fd_sc_hd__decap_3 d(.VPWR(VPWR));
endmodule""",
    )
    assert netlist.inputs == ("a", "b", "c")
    fa, a21oi = "sky130_fd_sc_hd__fa_1", "sky130_fd_sc_hd__a21oi_1"
    pins = {"A": "a", "B": "b", "CIN": "c"}
    assert netlist.gates == (
        Gate("f/COUT", fa, "TABLE:00010111", "f/COUT", ("a", "b", "c"), {**pins, "COUT": "f/COUT"}),
        Gate("f/SUM", fa, "XOR", "s", ("a", "b", "c"), {**pins, "SUM": "s"}),
        Gate("g", a21oi, "TABLE:10101000", "y", ("a", "b", "c"), {"A1": "a", "A2": "b", "B1": "c", "Y": "y"}),
    )
    assert netlist.vendor_metadata["physical_cells"] == {"sky130_fd_sc_hd__decap_3": 1}
    assert netlist.vendor_metadata["power_ports"] == ["VPWR", "VGND"]
    assert netlist.warnings == ("gate outputs that feed nothing: f/COUT",)


def test_flip_flop_without_a_definition(tmp_path):
    netlist = read(tmp_path, "module t(input a, ck, output y); dff x(.Q(y), .D(a), .CK(ck)); endmodule")
    assert netlist.gates == (Gate("x", "dff", "DFF", "y", ("a",), {"CK": "ck"}),)


def test_drive_strengths_and_delays_are_no_instances(tmp_path):
    netlist = read(tmp_path, "module t(input a, b, output y); nand (strong0, weak1) #(1, 2) g(y, a, b); endmodule")
    assert netlist.gates == (Gate("g", "nand", "NAND", "y", ("a", "b")),)


NOT_KNOWN = "is not known, so its function would be a guess"
NO_GATE = "holds something that is no gate, cell or assignment"


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ("fancy_1 u(.A(a), .Y(y));", UnsupportedVersion, f"cell fancy_1 {NOT_KNOWN} at line 2"),
        (
            "sky130_fd_sc_hd__dlxtp_1 u(.GATE(b), .D(a), .Q(y));",
            UnsupportedVersion,
            f"cell sky130_fd_sc_hd__dlxtp_1 {NOT_KNOWN} at line 2",
        ),
        ("dff x(y, a, b);", UnsupportedVersion, f"cell dff {NOT_KNOWN} at line 2"),
        ("bufif1 (y, a, b);", UnsupportedVersion, f"cell bufif1 {NOT_KNOWN} at line 2"),
        (
            "sky130_fd_sc_hd__nand2_1 u(y, a, b);",
            UnsupportedVersion,
            "cell u (sky130_fd_sc_hd__nand2_1) is connected by position; the order of its pins is not known at line 2",
        ),
        (
            "sky130_fd_sc_hd__nand2_1 u(.A(a), .Y(y));",
            CorruptField,
            "input pin B of u (sky130_fd_sc_hd__nand2_1) is not connected at line 2",
        ),
        (
            "sky130_fd_sc_hd__nand2_1 u(.A(a), .B(), .Y(y));",
            CorruptField,
            "input pin B of u (sky130_fd_sc_hd__nand2_1) is not connected at line 2",
        ),
        (
            "sky130_fd_sc_hd__nand2_1 u(.A(a), .C(b), .Y(y));",
            CorruptField,
            "the Verilog is not valid: port 'C' does not exist in 'sky130_fd_sc_hd__nand2_1' at line 2",
        ),
        ("wire n;\nand g(y, a, n);", CorruptField, "net n, an input of g, has no driver at line 3"),
        (
            "and g(y, a, b);\nor h(y, a, b);",
            CorruptField,
            "net y has a second driver, h; the first is on line 2 at line 3",
        ),
        (
            "wire n, m;\nand g(n, a, m);\nnot h(m, n);\nbuf k(y, m);",
            CorruptField,
            "combinational loop of 2 nets: n -> m -> n at line 3",
        ),
        (
            "`ifdef X\nbuf (y, a);\n`endif",
            UnsupportedVersion,
            "the compiler directive `ifdef changes the text and is not followed at line 2",
        ),
        ("always @(*) y = ~a;", UnsupportedVersion, f"module t {NO_GATE}: always at line 2"),
        (
            "generate if (1) begin : g\nbuf x(y, a);\nend endgenerate",
            UnsupportedVersion,
            f"module t {NO_GATE}: generate at line 2",
        ),
        ("assign y = a & b;", UnsupportedVersion, "an expression (BinaryOp) where a net must stand at line 2"),
        ("and (y, a, 1'bx);", UnsupportedVersion, "a constant that is neither 0 nor 1 at line 2"),
        ("buf (y, v);", CorruptField, "a connection has the wrong width at line 2 (expected 1, found 2)"),
        ("buf (y, v[5]);", CorruptField, "a selection outside net v at line 2"),
        (
            "wire [1:0] n;\nbuf b[1:0](n, v);\nbuf (y, n[0]);",
            UnsupportedVersion,
            "InstanceArray is no gate, cell or assignment at line 3",
        ),
        (
            "wand n;\nbuf (n, a), (n, b), (y, n);",
            UnsupportedVersion,
            "net n is a wand, which can have several drivers at line 2",
        ),
        (
            "wire n = a;\nbuf (y, n);",
            UnsupportedVersion,
            "net n is assigned where it is declared; only assign is read at line 2",
        ),
        ("wire \\v[1] ;\nbuf (\\v[1] , a), (y, a);", UnsupportedVersion, "two nets are both called v[1] at line 2"),
        (
            "buf (y a);",
            CorruptField,
            "the Verilog is not valid: instance of 'buf' requires at least one input and one output connection"
            " at line 2",
        ),
        ("/* buf (y, a);", Truncated, "a comment is not closed at line 2"),
    ],
)
def test_refusals_in_full(tmp_path, body, kind, message):
    source = written(tmp_path, "x.v", f"module t(input a, b, input [1:0] v, output y);\n{body}\nendmodule\n")
    with pytest.raises(InstrumentError) as caught:
        read_netlist(ADAPTER, source)
    assert type(caught.value) is kind
    assert str(caught.value) == f"x.v: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.v: the file holds no module"),
        ("module t(input a, output y);\nbuf (y, a);\n", "x.v: a module has no endmodule at line 1"),
        (
            '`include "/etc/passwd"\nmodule t(input a, output y); buf (y, a); endmodule',
            "x.v: the compiler directive `include changes the text and is not followed at line 1",
        ),
        (
            "module t(input a, output y); buf (y, a); endmodule module u(input a, output y); buf (y, a); endmodule",
            "x.v: the file must have one module that no other uses, it has: t, u (expected 1, found 2)",
        ),
        (
            "module t(inout a, output y); buf (y, a); endmodule",
            "x.v: port a is an inout, which a gate-level circuit cannot have at line 1",
        ),
        (
            "module s(input i, output o); buf (o, i); endmodule\nmodule t(output y);\ns u(.o(y));\nendmodule",
            "x.v: input port i of u is not connected at line 3",
        ),
        (
            "module dff(input C, R, D, output reg Q);\n"
            "always @(posedge C or posedge R) if (R) Q <= 0; else Q <= D;\nendmodule\n"
            "module t(input a, c, r, output y); dff x(c, r, a, y); endmodule",
            "x.v: module dff holds something that is no gate, cell or assignment: always at line 2",
        ),
        ("nonsense", "x.v: text outside any module at line 1 (found nonsense)"),
    ],
)
def test_files_refused_in_full(tmp_path, text, message):
    with pytest.raises(InstrumentError) as caught:
        read(tmp_path, text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "content", "confidence"),
    [
        ("a.txt", "// c\nmodule c(a, y);\n input a; output y;\n  nand (y, a, a);\nendmodule", Confidence.CERTAIN),
        ("a.v", "module c(input a); endmodule", Confidence.LIKELY),
        ("a.txt", "module c(input a); endmodule", Confidence.POSSIBLE),
        ("a.v", "", Confidence.POSSIBLE),
        ("a.txt", "INPUT(a)\n", Confidence.NO),
    ],
)
def test_sniff(tmp_path, name, content, confidence):
    assert ADAPTER.sniff(written(tmp_path, name, content)).confidence is confidence


def test_an_index_may_be_a_sized_constant_and_not_an_unknown_one(tmp_path):
    text = "module t (a, y); input [1:0] a; output y; xor x (y, a[{}], a[1]); endmodule\n"
    for index, net in (("!0", "a[1]"), ("1'b0", "a[0]"), ("2'd1", "a[1]")):
        assert read(tmp_path, text.format(index)).gates[0].inputs == (net, "a[1]")
    with pytest.raises(InstrumentError):
        read(tmp_path, text.format("1'bx"))
