"""A small writer of KLARF files for the tests; every part can be replaced."""

from collections.abc import Sequence

COLUMNS = ("DEFECTID", "XREL", "YREL", "XINDEX", "YINDEX", "DSIZE", "CLASSNUMBER", "TEST")


def flat(
    rows: Sequence[str] = ("1 10.5 20.25 0 0 0.5 3 1", "2 1.5 2.5 -1 2 1.25 0 1"),
    columns: Sequence[str] = COLUMNS,
    *,
    version: str = "1 2",
    lists: str | None = None,
    head: str = "",
    summary: str = "1 {count} 0 4 2",
    end: str = "EndOfFile;\n",
    spec: str | None = None,
) -> str:
    """Return a file of one wafer; ``lists`` stands in for the one DefectList."""
    body = lists if lists is not None else "DefectList\n " + "\n ".join(rows) + ";\n"
    named = spec or f"DefectRecordSpec {len(columns)} {' '.join(columns)} ;"
    return (
        f"FileVersion {version};\nFileTimestamp 03-10-2024 16:14:29;\n"
        'InspectionStationID "maker" "model; with ; semicolons" "7";\nLotID "L1";\n'
        "DiePitch 1.0e3 2000;\nDieOrigin 0 0;\n"
        'WaferID "W1";\nSampleCenterLocation 500 -250.5;\n'
        f'ClassLookup 2\n 0 "none"\n 3 "pin hole";\n{head}'
        f"{named}\n{body}"
        "SummarySpec 5\n TESTNO NDEFECT DEFDENSITY NDIE NDEFDIE ;\n"
        f"SummaryList\n {summary.format(count=len(rows))} ;\n{end}"
    )


NESTED_COLUMNS = (
    "int32 DEFECTID",
    "int32 XREL",
    "int32 YREL",
    "int32 XINDEX",
    "int32 YINDEX",
    "float DEFECTAREA",
    "int32 DSIZE",
    "int32 CLASSNUMBER",
    "int32 TEST",
    "ImageList IMAGEINFO",
)


def nested(
    rows: Sequence[str] = (
        '7 1500 2500 -1 2 6445.5 325 3 1 Images 2 { "a/b.jpg" "JPG" 1 "Patch", "c.jpg" "JPG" 2 "x;y" }',
        "8 10 20 0 0 N/A 100 NA 1 N",
    ),
    columns: Sequence[str] = NESTED_COLUMNS,
    *,
    data: int | None = None,
    declared: int | None = None,
    end: str = "EndOfFile;\n",
) -> str:
    """Return a 1.8 file of one wafer."""
    listed = "\n".join(f"          {row} ;" for row in rows)
    return f"""Record FileRecord  "1.8"
{{
  Record LotRecord "L1"
  {{
    Field DiePitch 2 {{1000000, 2000000}}
    Record WaferRecord "W1"
    {{
      Field DieOrigin 2 {{0, 0}}
      Field SampleCenterLocation 2 {{500000, -250500}}
      List DefectList
      {{
        Columns {len(columns)} {{ {", ".join(columns)} }}
        Data {len(rows) if data is None else data}
        {{
{listed}
        }}
      }}
      Record SummaryRecord
      {{
        List TestSummaryList
        {{
          Columns 2 {{ int32 TESTNO, int32 NDEFECT }}
          Data 1 {{ 1 {len(rows) if declared is None else declared} ; }}
        }}
      }}
    }}
    List ClassLookupList
    {{
      Columns 3 {{ int32 CLASSNUMBER, string CLASSNAME, string CLASSCODE }}
      Data 1 {{ 3 "Pin hole" ""; }}
    }}
  }}
  Field FileTimestamp 2 {{"12-12-1972", "16:27:59"}}
}}
{end}"""
