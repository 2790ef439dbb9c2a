"""The records of ATDF: fields by their names in STDF, in ATDF's own order, as text to what STDF would hold."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from instruments.errors import CorruptField

_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(inf|nan)", re.IGNORECASE)
_DATE = re.compile(r"([0-9]{1,2}):([0-9]{2}):([0-9]{2}) +([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MAX_DIGITS = 18

_LAYOUTS = {
    "FAR": "FILE_TYPE:t STDF_VER:i ATDF_VER:i SCALING:t",
    "ATR": "MOD_TIM:d CMD_LINE:t",
    "MIR": "LOT_ID:t PART_TYP:t JOB_NAM:t NODE_NAM:t TSTR_TYP:t SETUP_T:d START_T:d OPER_NAM:t MODE_COD:t STAT_NUM:i "
    "SBLOT_ID:t TEST_COD:t RTST_COD:t JOB_REV:t EXEC_TYP:t EXEC_VER:t PROT_COD:t CMOD_COD:t BURN_TIM:i TST_TEMP:t "
    "USER_TXT:t AUX_FILE:t PKG_TYP:t FAMLY_ID:t DATE_COD:t FACIL_ID:t FLOOR_ID:t PROC_ID:t OPER_FRQ:t SPEC_NAM:t "
    "SPEC_VER:t FLOW_ID:t SETUP_ID:t DSGN_REV:t ENG_ID:t ROM_COD:t SERL_NUM:t SUPR_NAM:t",
    "MRR": "FINISH_T:d DISP_COD:t USR_DESC:t EXC_DESC:t",
    "PCR": "HEAD_NUM:i SITE_NUM:i PART_CNT:i RTST_CNT:i ABRT_CNT:i GOOD_CNT:i FUNC_CNT:i",
    "HBR": "HEAD_NUM:i SITE_NUM:i HBIN_NUM:i HBIN_CNT:i HBIN_PF:t HBIN_NAM:t",
    "SBR": "HEAD_NUM:i SITE_NUM:i SBIN_NUM:i SBIN_CNT:i SBIN_PF:t SBIN_NAM:t",
    "PMR": "PMR_INDX:i CHAN_TYP:o CHAN_NAM:t PHY_NAM:t LOG_NAM:t HEAD_NUM:i SITE_NUM:i",
    "PGR": "GRP_INDX:i GRP_NAM:t PMR_INDX:l",
    "PLR": "GRP_INDX:l GRP_MODE:t GRP_RADX:t PGM_CHAR:t RTN_CHAR:t",
    "RDR": "RTST_BIN:l",
    "SDR": "HEAD_NUM:i SITE_GRP:i SITE_NUM:l HAND_TYP:t HAND_ID:t CARD_TYP:t CARD_ID:t LOAD_TYP:t LOAD_ID:t DIB_TYP:t "
    "DIB_ID:t CABL_TYP:t CABL_ID:t CONT_TYP:t CONT_ID:t LASR_TYP:t LASR_ID:t EXTR_TYP:t EXTR_ID:t",
    "WIR": "HEAD_NUM:i START_T:d SITE_GRP:i WAFER_ID:t",
    "WRR": "HEAD_NUM:i FINISH_T:d PART_CNT:i WAFER_ID:t SITE_GRP:i RTST_CNT:i ABRT_CNT:i GOOD_CNT:i FUNC_CNT:i "
    "FABWF_ID:t FRAME_ID:t MASK_ID:t USR_DESC:t EXC_DESC:t",
    "WCR": "WF_FLAT:t POS_X:t POS_Y:t WAFR_SIZ:f DIE_HT:f DIE_WID:f WF_UNITS:i CENTER_X:i CENTER_Y:i",
    "PIR": "HEAD_NUM:i SITE_NUM:i",
    "PRR": "HEAD_NUM:i SITE_NUM:i PART_ID:t NUM_TEST:i VERDICT:t HARD_BIN:i SOFT_BIN:i X_COORD:i Y_COORD:i RETEST:t "
    "ABORT:t TEST_T:i PART_TXT:t PART_FIX:t",
    "TSR": "HEAD_NUM:i SITE_NUM:i TEST_NUM:i TEST_NAM:t TEST_TYP:t EXEC_CNT:i FAIL_CNT:i ALRM_CNT:i SEQ_NAME:t "
    "TEST_LBL:t TEST_TIM:f TEST_MIN:f TEST_MAX:f TST_SUMS:f TST_SQRS:f",
    "PTR": "TEST_NUM:i HEAD_NUM:i SITE_NUM:i RESULT:f VERDICT:t ALARMS:t TEST_TXT:t ALARM_ID:t COMPARE:t UNITS:t "
    "LO_LIMIT:f HI_LIMIT:f C_RESFMT:t C_LLMFMT:t C_HLMFMT:t LO_SPEC:f HI_SPEC:f RES_SCAL:i LLM_SCAL:i HLM_SCAL:i",
    "MPR": "TEST_NUM:i HEAD_NUM:i SITE_NUM:i RTN_STAT:h RTN_RSLT:n VERDICT:t ALARMS:t TEST_TXT:t ALARM_ID:t COMPARE:t "
    "UNITS:t LO_LIMIT:f HI_LIMIT:f START_IN:f INCR_IN:f UNITS_IN:t RTN_INDX:l C_RESFMT:t C_LLMFMT:t C_HLMFMT:t "
    "LO_SPEC:f HI_SPEC:f RES_SCAL:i LLM_SCAL:i HLM_SCAL:i",
    "FTR": "TEST_NUM:i HEAD_NUM:i SITE_NUM:i VERDICT:t ALARMS:t VECT_NAM:t TIME_SET:t CYCL_CNT:i REL_VADR:i "
    "REPT_CNT:i NUM_FAIL:i XFAIL_AD:i YFAIL_AD:i VECT_OFF:i RTN_INDX:l RTN_STAT:h PGM_INDX:l PGM_STAT:h FAIL_PIN:t "
    "OP_CODE:t TEST_TXT:t ALARM_ID:t PROG_TXT:t RSLT_TXT:t PATG_NUM:i SPIN_MAP:t",
    "BPS": "SEQ_NAME:t",
    "EPS": "",
    "DTR": "TEXT_DAT:t",
}
"""Types: t text, i integer, o integer or text, f number, d date and time, l integers, n numbers, h hexadecimal digits.

The type of a channel is a letter in the samples of ATDF's specification, a number in STDF."""

NEEDED = {"PTR": 3, "MPR": 3, "FTR": 3, "PIR": 2, "PRR": 2, "WIR": 1, "WRR": 1, "HBR": 4, "SBR": 4, "TSR": 3, "PMR": 1}
"""Fields at the beginning that a record needs; those of totals may be empty, which means all heads or sites."""
_ALL = 255
_TOTALS = frozenset({"PCR", "HBR", "SBR", "TSR"})
_SCOPE = ("HEAD_NUM", "SITE_NUM")


@dataclass(frozen=True)
class Line:
    """One record with where it begins; ``fields`` are split at the delimiter."""

    number: int
    name: str
    fields: tuple[str, ...]


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text) or len(text) > _MAX_DIGITS:
        raise ValueError(text)
    return int(text)


def _number(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return float(text)


def _date(text: str) -> int:
    """Return seconds since 1970 of the tester's own clock."""
    match = _DATE.fullmatch(text)
    if match is None or match[5].upper() not in _MONTHS:
        raise ValueError(text)
    hour, minute, second, day, year = (int(match[group]) for group in (1, 2, 3, 4, 6))
    moment = datetime(year, _MONTHS.index(match[5].upper()) + 1, day, hour, minute, second, tzinfo=UTC)
    return int(moment.timestamp())


def _list_of(convert: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    return lambda text: [convert(item.strip()) for item in text.split(",")]


def _states(text: str) -> list[int]:
    """Return states of pins: hexadecimal digits one after another, or numbers between commas."""
    if "," not in text:
        if not re.fullmatch(r"[0-9A-Fa-f]+", text):
            raise ValueError(text)
        return [int(digit, 16) for digit in text]
    items = [item.strip() for item in text.split(",")]
    return [int(item, 16) if re.fullmatch(r"[0-9A-Fa-f]", item) else _integer(item) for item in items]


def _integer_or_text(text: str) -> int | str:
    return _integer(text) if _INTEGER.fullmatch(text) else text


_CONVERT: dict[str, Callable[[str], Any]] = {
    "t": lambda text: text,
    "i": _integer,
    "o": _integer_or_text,
    "f": _number,
    "d": _date,
    "l": _list_of(_integer),
    "n": _list_of(lambda item: _number(item) if item else math.nan),
    "h": _states,
}
_WORDS = {
    "t": "text",
    "i": "a whole number",
    "o": "a whole number or text",
    "f": "a number",
    "d": "hh:mm:ss dd-MMM-yyyy",
    "l": "whole numbers",
    "n": "numbers",
    "h": "hexadecimal digits",
}
FIELDS = {
    name: tuple((field.split(":")[0], field.split(":")[1]) for field in text.split()) for name, text in _LAYOUTS.items()
}


def convert(line: Line, file: str) -> dict[str, Any]:
    """Return the fields of ``line`` that are not empty, by STDF's names and in its types.

    Raises:
        CorruptField: a field is not of its type, one that the record needs is empty, or there are too many.
    """
    layout = FIELDS[line.name]
    cells = line.fields
    if len(cells) > len(layout) and any(cells[len(layout) :]):
        message = f"the record {line.name} has more fields than it may have"
        raise CorruptField(
            message, file=file, offset=line.number, expected=len(layout), found=len(cells), offset_unit="line"
        )
    made: dict[str, Any] = {}
    for (name, kind), text in zip(layout, cells, strict=False):
        plain = text if kind == "t" else text.strip()
        if not plain:
            continue
        try:
            made[name] = _CONVERT[kind](plain)
        except ValueError:
            message = f"{name} of the record {line.name} is not right"
            raise CorruptField(
                message, file=file, offset=line.number, expected=_WORDS[kind], found=plain[:60], offset_unit="line"
            ) from None
    if line.name in _TOTALS:
        made |= {name: _ALL for name in _SCOPE if name not in made}
    missing = [name for name, _ in layout[: NEEDED.get(line.name, 0)] if name not in made]
    if missing:
        message = f"the record {line.name} lacks its {missing[0]}"
        raise CorruptField(message, file=file, offset=line.number, offset_unit="line")
    return made


_TEST_LETTERS = {"A": 0x01, "U": 0x04, "T": 0x08, "N": 0x10, "X": 0x20}
_PARAMETER_LETTERS = {"S": 0x01, "D": 0x02, "O": 0x04, "H": 0x08, "L": 0x10}
_COMPARE = {"L": 0x40, "H": 0x80}
_VERDICTS = {"P": (0, 0), "F": (0x80, 0), "A": (0, 0x20), "": (0x40, 0)}
_NO_VALUE = 0x02


def flags_of(fields: Mapping[str, Any], line: Line, file: str) -> tuple[int, int]:
    """Return TEST_FLG and PARM_FLG as STDF would hold them.

    Raises:
        CorruptField: a letter has no meaning there.
    """
    verdict = str(fields.get("VERDICT", "")).strip().upper()
    alarms = str(fields.get("ALARMS", "")).replace(" ", "").upper()
    compare = str(fields.get("COMPARE", "")).replace(" ", "").upper()
    known = _TEST_LETTERS if line.name == "FTR" else _TEST_LETTERS | _PARAMETER_LETTERS
    wrong = [letter for letter in alarms if letter not in known] + [item for item in compare if item not in _COMPARE]
    if verdict not in _VERDICTS or wrong:
        message = f"a flag of the record {line.name} is not known"
        found = wrong[0] if wrong else verdict[:20]
        raise CorruptField(message, file=file, offset=line.number, found=found, offset_unit="line")
    test, parameter = _VERDICTS[verdict]
    for letter in alarms:
        test |= _TEST_LETTERS.get(letter, 0)
        parameter |= _PARAMETER_LETTERS.get(letter, 0)
    for letter in compare:
        parameter |= _COMPARE[letter]
    if line.name == "PTR" and "RESULT" not in fields:
        test |= _NO_VALUE
    return test, parameter


def part_flags(fields: Mapping[str, Any], line: Line, file: str) -> int:
    """Return PART_FLG as STDF would hold it; raises CorruptField for a letter without a meaning."""
    made = 0
    for name, letters in (
        ("VERDICT", {"P": 0, "F": 0x08, "": 0x10}),
        ("RETEST", {"I": 0x01, "C": 0x02, "": 0}),
        ("ABORT", {"Y": 0x04, "N": 0, "": 0}),
    ):
        letter = str(fields.get(name, "")).strip().upper()
        if letter not in letters:
            message = f"a flag of the record {line.name} is not known"
            raise CorruptField(message, file=file, offset=line.number, found=letter[:20], offset_unit="line")
        made |= letters[letter]
    return made


def with_options(fields: dict[str, Any], *, first: bool) -> dict[str, Any]:
    """Return the definition of a PTR or MPR with the OPT_FLAG that says which of its fields mean something.

    An empty limit is that of the test's first record; in that record itself, beside a limit on the other side, it means
    that the test has none on this side. ``first`` says that it is that record.
    """
    options = 0
    low, high = "LO_LIMIT" in fields, "HI_LIMIT" in fields
    if not low:
        options |= 0x40 if first and high else 0x10
    if not high:
        options |= 0x80 if first and low else 0x20
    if "RES_SCAL" not in fields:
        options |= 0x01
    for name, bit in (("LO_SPEC", 0x04), ("HI_SPEC", 0x08)):
        options |= 0 if name in fields else bit
    if "START_IN" not in fields:
        options |= 0x02
    return fields | {"OPT_FLAG": options}
