"""A scan of Verilog text by tokens: the count that the elaborated netlist is checked against.

It knows comments, strings, attributes, escaped names and statements, nothing of nets or expressions. It finds the
modules, how many instances of what each has, how many assignments, and which modules are plain D flip-flops.
"""

import re
from collections import Counter
from dataclasses import dataclass, field

from instruments.errors import CorruptField, CountMismatch, Truncated, UnsupportedVersion

PRIMITIVES = frozenset({"and", "nand", "or", "nor", "xor", "xnor", "not", "buf"})
DECLARATIONS = frozenset(
    {
        *("input", "output", "inout", "wire", "tri", "supply0", "supply1", "reg", "logic", "parameter", "localparam"),
        *("specparam", "integer", "genvar", "wand", "wor", "tri0", "tri1", "triand", "trior", "trireg", "uwire"),
        *("real", "time", "event", "defparam"),
    }
)
BEHAVIOUR = frozenset(
    {
        *("initial", "always", "always_ff", "always_comb", "always_latch", "begin", "end", "generate", "endgenerate"),
        *("for", "if", "else", "case", "function", "task", "specify", "primitive", "bind", "property", "assert"),
    }
)
STRENGTHS = frozenset(f"{name}{level}" for name in ("supply", "strong", "pull", "weak", "highz") for level in "01")
DIRECTIVES = frozenset({"`timescale", "`default_nettype", "`celldefine", "`endcelldefine", "`resetall"})
TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|/\*.*?\*/|\(\*(?!\s*\)).*?\*\))
      |(?P<text>"(?:\\.|[^"\\\n])*")
      |(?P<escaped>\\\S+)
      |(?P<directive>`\w+)
      |(?P<word>[A-Za-z_$][\w$]*)
      |(?P<number>(?:\d[\d_]*\s*)?'[sS]?[bBoOdDhH]\s*[\w?]+|'[01xXzZ]|\d[\w.]*)
      |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
FLIP_FLOP = re.compile(r"always(?:_ff)? @ \( posedge (\S+) \) (?:begin )?(\S+) < = (\S+) ;(?: end)?")
FLIP_FLOP_BODY = re.compile(rf"(?:initial (\S+) = \S+ ; )?{FLIP_FLOP.pattern}(?: initial (\S+) = \S+ ;)?")
CLOCK_PINS, DATA_PINS, OUTPUT_PINS = ("CK", "CLK", "CP", "C"), ("D",), ("Q",)


@dataclass(frozen=True)
class Token:
    """A word, number, string or sign, and its 1-based line."""

    text: str
    line: int


@dataclass(frozen=True)
class FlipFlopPins:
    """Names of the pins of a D flip-flop."""

    clock: str
    data: str
    output: str


@dataclass
class ScannedModule:
    """One ``module``: its instances by type, its assignments, and its behavioural text if it has any."""

    name: str
    line: int
    instances: Counter[str] = field(default_factory=Counter)
    first_lines: dict[str, int] = field(default_factory=dict)
    pins: dict[str, set[str]] = field(default_factory=dict)
    assigns: int = 0
    behaviour: list[Token] = field(default_factory=list)

    @property
    def flip_flop(self) -> FlipFlopPins | None:
        """The pins, when the module holds nothing but ``always @(posedge clock) q <= d``; else ``None``."""
        if self.instances or self.assigns:
            return None
        match = FLIP_FLOP_BODY.fullmatch(" ".join(token.text for token in self.behaviour))
        if match is None or any(name not in (None, match[3]) for name in (match[1], match[5])):
            return None
        return FlipFlopPins(clock=match[2], data=match[4], output=match[3])


def scan_verilog(text: str, file: str) -> dict[str, ScannedModule]:
    """Return the modules of a file by name.

    Args:
        text: the file.
        file: its name for messages.

    Raises:
        UnsupportedVersion: a directive that changes the text (``define``, ``ifdef``, ``include`` and so on).
        CorruptField: a module defined twice, or text outside any module.
        Truncated: a module without ``endmodule``.
    """
    modules: dict[str, ScannedModule] = {}
    tokens = iter(_tokens(text, file))
    for token in tokens:
        if token.text not in ("module", "macromodule"):
            message = "text outside any module"
            raise CorruptField(message, file=file, offset=token.line, found=token.text[:60], offset_unit="line")
        body: list[Token] = []
        for inner in tokens:
            if inner.text == "endmodule":
                break
            body.append(inner)
        else:
            raise Truncated("a module has no endmodule", file=file, offset=token.line, offset_unit="line")
        if not body:
            raise CorruptField("a module without a name", file=file, offset=token.line, offset_unit="line")
        module = _scan_module(body, token.line)
        if module.name in modules:
            message = f"module {module.name} is defined twice"
            raise CorruptField(message, file=file, offset=token.line, offset_unit="line")
        modules[module.name] = module
    return modules


def _tokens(text: str, file: str) -> list[Token]:
    found: list[Token] = []
    line = 1
    skip_line = 0
    for match in TOKEN.finditer(text):
        kind, piece = match.lastgroup, match[0]
        if kind == "directive":
            if piece not in DIRECTIVES:
                message = f"the compiler directive {piece} changes the text and is not followed"
                raise UnsupportedVersion(message, file=file, offset=line, offset_unit="line")
            skip_line = line
        elif kind == "other" and text.startswith("/*", match.start()):
            raise Truncated("a comment is not closed", file=file, offset=line, offset_unit="line")
        elif kind != "skip" and line != skip_line:
            found.append(Token(piece, line))
        line += piece.count("\n")
    return found


def _scan_module(body: list[Token], line: int) -> ScannedModule:
    module = ScannedModule(_plain(body[0].text), line)
    statements = _statements(body[1:])
    for index, statement in enumerate(statements):
        first = statement[0].text
        if index == 0 or first in DECLARATIONS:  # the first statement is the header with its ports
            continue
        if first == "assign":
            module.assigns += 1 + _commas_at_depth_0(statement)
        elif first not in BEHAVIOUR and _looks_like_instances(statement):
            _scan_instances(module, statement)
        else:
            module.behaviour += statement
    return module


def _statements(tokens: list[Token]) -> list[list[Token]]:
    """Split at ``;``, which stays with its statement."""
    statements: list[list[Token]] = []
    current: list[Token] = []
    for token in tokens:
        current.append(token)
        if token.text == ";":
            statements.append(current)
            current = []
    if current:
        statements.append(current)
    return statements


def _looks_like_instances(statement: list[Token]) -> bool:
    first = statement[0].text
    named = bool(re.match(r"[A-Za-z_$\\]", first)) and len(statement) > 3
    return named and statement[1].text != "=" and any(token.text == "(" for token in statement)


def _commas_at_depth_0(statement: list[Token]) -> int:
    depth = commas = 0
    for token in statement:
        depth += (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}"))
        commas += token.text == "," and depth == 0
    return commas


def _scan_instances(module: ScannedModule, statement: list[Token]) -> None:
    """Count the parenthesised groups at depth 0, less parameters, delays (``#``) and drive strengths."""
    kind = _plain(statement[0].text)
    module.first_lines.setdefault(kind, statement[0].line)
    depth = 0
    parameters = False
    for index, token in enumerate(statement):
        if token.text == "(":
            if depth == 0:
                parameters = statement[index - 1].text == "#" or statement[index + 1].text in STRENGTHS
                module.instances[kind] += not parameters
            depth += 1
        elif token.text == ")":
            depth -= 1
        elif token.text == "." and depth == 1 and not parameters and index + 1 < len(statement):
            module.pins.setdefault(kind, set()).add(_plain(statement[index + 1].text))


def _plain(name: str) -> str:
    return name.removeprefix("\\")


def expand_counts(modules: dict[str, ScannedModule], top: str, leaves: frozenset[str]) -> tuple[Counter[str], int]:
    """Return how many cells of each type, and how many assignments, the flat circuit under ``top`` has.

    Args:
        modules: all modules of the file.
        top: the module to start from.
        leaves: modules that count as cells and are not opened.
    """
    counts: Counter[str] = Counter()
    module = modules[top]
    assigns = module.assigns
    for kind, number in module.instances.items():
        if kind in modules and kind not in leaves:
            inner, inner_assigns = expand_counts(modules, kind, leaves)
            for name, count in inner.items():
                counts[name] += number * count
            assigns += number * inner_assigns
        else:
            counts[kind] += number
    return counts, assigns


def check_counts(expected: tuple[Counter[str], int], found: tuple[Counter[str], int], file: str) -> None:
    """Compare what the scan counted with what was elaborated.

    Raises:
        CountMismatch: for the first cell type, in alphabetical order, whose numbers differ.
    """
    for kind in sorted(expected[0] | found[0]):
        if expected[0][kind] != found[0][kind]:
            message = f"instances of {kind} in the text and in the netlist read differ"
            raise CountMismatch(message, file=file, expected=expected[0][kind], found=found[0][kind])
    if expected[1] != found[1]:
        message = "assignments in the text and in the netlist read differ"
        raise CountMismatch(message, file=file, expected=expected[1], found=found[1])
