"""Files made to hurt: each with the reason that its quarantine must name."""

import io
import json
import stat
import warnings
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass

ZEROS = b"\0" * (1 << 20)
NETLIST = b"INPUT(a)\nINPUT(b)\nOUTPUT(y)\ny = NAND(a, b)\n"
PATTERNS = b"cycle,a,b\n0,0,1\n1,1,1\n"
VCD_HEAD = b"$timescale 1 ns $end\n$scope module t $end\n$var wire 1 ! a $end\n$upscope $end\n$enddefinitions $end\n"


@dataclass(frozen=True)
class BadFile:
    """A file, what it is called, and a regular expression that one of its quarantine's reasons matches."""

    name: str
    data: bytes
    reason: str


def make_zip(members: Iterable[tuple[str | zipfile.ZipInfo, bytes]]) -> bytes:
    sink = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data, zipfile.ZIP_DEFLATED)
    return sink.getvalue()


def session(**changes: object) -> bytes:
    document: dict[str, object] = {
        "schema": "faultlight.probing-session/1", "session": "S", "role": "suspect", "unit": {"program": "alpha"},
        "technique": "LVP", "stimulus": {"cycle_s": 1e-8, "cycles": 2}, "netlist": "n.bench", "patterns": "p.csv",
        "waveforms": [{"file": "w.trc", "net": "y", "x_um": 1.0, "y_um": 2.0, "placement_sigma_nm": 30}],
    }  # fmt: skip
    return json.dumps(document | changes).encode()


def _link(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


def _encrypted() -> bytes:
    """An archive whose member claims to be encrypted (flag bit 0, in both headers)."""
    data = bytearray(make_zip([("session.json", session())]))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    return bytes(data)


def _claims_less() -> bytes:
    """An archive whose member expands to more than its header says."""
    data = bytearray(make_zip([("session.json", b" " * 100_000)]))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = data.index(signature) + offset
        data[place : place + 4] = (100).to_bytes(4, "little")
    return bytes(data)


def _overlapping() -> bytes:
    """An archive of 2,000 entries that all lie over the same member's bytes."""
    single = make_zip([("a", ZEROS[:-1])])
    start = single.index(b"PK\x01\x02")
    body, entry, ending = (
        single[:start],
        bytearray(single[start : single.index(b"PK\x05\x06")]),
        bytearray(single[-22:]),
    )
    directory = bytearray()
    for index in range(2000):
        name = f"{index:06d}".encode()
        directory += entry[:28] + len(name).to_bytes(2, "little") + entry[30:46] + name
    ending[8:12] = (2000).to_bytes(2, "little") * 2
    ending[12:16] = len(directory).to_bytes(4, "little")
    ending[16:20] = start.to_bytes(4, "little")
    return bytes(body + directory + ending)


BOMB = make_zip([("session.json", session()), ("n.bench", ZEROS * 300)])

ARCHIVES = [
    BadFile("bomb.zip", BOMB, "n.bench expands too far"),
    BadFile("many.zip", make_zip((f"m{index}", ZEROS[:-1]) for index in range(128)), "the archive expands too far"),
    BadFile("overlap.zip", _overlapping(), "expands too far|damaged"),
    BadFile("nested.zip", make_zip([("session.json", session(netlist="inner.zip")), ("inner.zip", BOMB)]),
            "inner.zip is refused: no adapter recognises"),
    BadFile("only-nested.zip", make_zip([("inner.zip", BOMB)]), "no session.json"),
    BadFile("climb.zip", make_zip([("../../evil", b"x"), ("session.json", session())]), "not a plain relative path"),
    BadFile("absolute.zip", make_zip([("/tmp/evil", b"x")]), "not a plain relative path"),
    BadFile("drive.zip", make_zip([("C:/evil", b"x")]), "not a plain relative path"),
    BadFile("backslash.zip", make_zip([("a\\..\\evil", b"x")]), "not a plain relative path"),
    BadFile("dots.zip", make_zip([("a/../../evil", b"x")]), "not a plain relative path"),
    BadFile("control.zip", make_zip([("a\nb", b"x")]), "not a plain relative path"),
    BadFile("link.zip", make_zip([(_link("passwd"), b"/etc/passwd")]), "the member passwd is a link"),
    BadFile("twice.zip", make_zip([("session.json", session()), ("session.json", b"{}")]), "two members session.json"),
    BadFile("forms.zip", make_zip([("caf\u00e9", b"1"), ("cafe\u0301", b"2")]), "two members café"),
    BadFile("encrypted.zip", _encrypted(), "session.json is encrypted"),
    BadFile("claims-less.zip", _claims_less(), "another size than declared|damaged"),
    BadFile("cut.zip", make_zip([("session.json", session()), ("n.bench", NETLIST)])[:-40], "damaged"),
    BadFile("head-only.zip", b"PK\x03\x04" + b"\xff" * 200, "damaged"),
    BadFile("deep.zip", make_zip([("session.json", b"[" * 200_000 + b"]" * 200_000)]), r"session\.json"),
    BadFile("number.zip", make_zip([("session.json", b'{"schema": ' + b"9" * 100_000 + b"}")]), r"session\.json"),
    BadFile("bytes.zip", make_zip([("session.json", b"\xff\xfe\x00{")]), r"session\.json"),
    BadFile("outside.zip", make_zip([("session.json", session(netlist="../../../../etc/passwd"))]), "etc/passwd"),
    BadFile("root.zip", make_zip([("session.json", session(netlist="/etc/passwd"))]), "etc/passwd"),
    BadFile("object.zip", make_zip([("session.json", session(netlist={"file": "x"}))]), "netlist"),
    BadFile("far.zip", make_zip([("session.json", session(unit={"product": "P", "x": 2**40}))]), "unit.x"),
    BadFile("long.zip", make_zip([("session.json", session(unit={"product": "é" * 3000}))]), "unit.product"),
    BadFile("missing.zip", make_zip([("session.json", session())]), "n.bench, which is not in the bundle"),
]  # fmt: skip

_MACROS = b"`define A0 buf b(y,a);\n" + b"".join(
    f"`define A{i} `A{i - 1} `A{i - 1} `A{i - 1} `A{i - 1}\n".encode() for i in range(1, 16)
)

SINGLE = [
    BadFile("empty.trc", b"", "."),
    BadFile("picture.trc", b"\x89PNG\r\n\x1a\n" + b"\0" * 500, "no adapter|not|no "),
    BadFile("noise.bin", bytes((index * 7919 + index // 251) % 256 for index in range(20_000)), "."),
    BadFile("nul.csv", b"\0" * 100_000, "."),
    BadFile("long-line.csv", b"time_s,reflectance\n" + b"1" * (32 << 20), "."),
    BadFile("long-header.vcd", b"$comment " + b"x" * (32 << 20) + b"\n", "."),
    BadFile("wide.csv", b"time_s," + b"," * 2_000_000 + b"\n" + b"0" + b",1" * 10, "."),
    BadFile("cut.vcd", VCD_HEAD[:-20], "."),
    BadFile("panic.vcd", VCD_HEAD + b"#0\nb111 !\n", "."),
    BadFile("backwards.vcd", VCD_HEAD + b"#5\n1!\n#2\n0!\n", "."),
    BadFile("cut.bench", NETLIST[:-6], "."),
    BadFile("cycle.bench", b"INPUT(a)\nOUTPUT(y)\ny = NAND(a, z)\nz = NOT(y)\n", "."),
    BadFile("generate.v", b"module m(input a, output y); genvar i; generate for (i=0;i<2000000000;i=i+1) begin: g "
            b"wire w; end endgenerate assign y=a; endmodule\n", "generate"),
    BadFile("endless.v", b"module m(input a, output y); function integer f(input integer n); begin f=0; while(1) "
            b"f=f+1; end endfunction localparam X=f(1); buf b(y,a); endmodule\n", "function"),
    BadFile("recursive.v", b"module n(input a, output y); n x(a,y); n z(a,y); endmodule\n"
            b"module m(input a, output y); n x(a,y); endmodule\n", "recursive"),
    BadFile("macros.v", _MACROS + b"module m(input a, output y);\n`A15\nendmodule\n", "`define"),
    BadFile("include.v", b'`include "/etc/passwd"\nmodule m(input a, output y); buf b(y,a); endmodule\n', "`include"),
    BadFile("wide.v", b"module m(input [2000000000:0] a, output y); buf b(y,a[0]); endmodule\n", "too large"),
    BadFile("nested.v", b"module m(input a, output y); assign y = " + b"(" * 100_000 + b"a" + b")" * 100_000 +
            b"; endmodule\n", "elaborated|valid"),
]  # fmt: skip
