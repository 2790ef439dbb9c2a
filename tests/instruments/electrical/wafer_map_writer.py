"""Wafer maps as XML and SINF, written from a picture of codes."""

from collections import Counter

PICTURE = ("..12.", ".1121", "111XX", ".2111")
"""Four rows of five: codes 1 (good), 2 and X, dots for no die."""
DIES = sum(1 for row in PICTURE for code in row if code != ".")


def bins(picture, wide=lambda code: code, tag="BinDefinition"):
    counted = Counter(code for row in picture for code in row if code != ".")
    quality = {"1": "Pass", "2": "Fail", "X": "Fail"}
    return "".join(
        f'<{tag} BinCode="{wide(code)}" BinCount="{count}" BinQuality="{quality[code]}" BinDescription="bin {code}"/>\n'
        for code, count in sorted(counted.items())
    )


def e142_body(name="W1", picture=PICTURE, attributes='OriginLocation="UpperLeft" AxisDirection="DownRight"', **change):
    given = {"kind": "Ascii", "null": ".", "wide": lambda code: code, "orientation": "0"} | change
    rows = "".join(f"<BinCode>{''.join(given['wide'](code) for code in row)}</BinCode>\n" for row in picture)
    return f"""<SubstrateMap SubstrateType="Wafer" SubstrateId="{name}" Orientation="{given["orientation"]}"
 {attributes} LayoutSpecifier="Wafer/Dies"><Overlay MapName="SortGrade" MapVersion="1">
<BinCodeMap BinType="{given["kind"]}" NullBin="{given["null"]}"><BinDefinitions>
{given.get("bins") or bins(picture, given["wide"])}</BinDefinitions>
{rows}</BinCodeMap></Overlay></SubstrateMap>
"""


def device_list(devices, attributes='OriginLocation="LowerLeft" AxisDirection="UpRight"', **change):
    """A map that lists devices, ``(x, y, code)`` each."""
    given = {"kind": "Ascii", "null": "."} | change
    codes = "".join(f'<BinCode X="{x}" Y="{y}">{code}</BinCode>\n' for x, y, code in devices)
    defined = given.get("bins") or "".join(
        f'<BinDefinition BinCode="{code}" BinCount="{count}" BinQuality="{"Pass" if code == "1" else "Fail"}"/>\n'
        for code, count in sorted(Counter(code for _, _, code in devices if code != given["null"]).items())
    )
    return f"""<SubstrateMap SubstrateType="Wafer" SubstrateId="W1" {attributes} LayoutSpecifier="Wafer/Dies">
<Overlay MapName="SortGrade"><BinCodeMap BinType="{given["kind"]}" NullBin="{given["null"]}" MapType="Coordinate">
<BinDefinitions>{defined}</BinDefinitions>
{codes}</BinCodeMap></Overlay></SubstrateMap>
"""


def e142(*bodies, columns=5, rows=4, version="V1005"):
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<MapData xmlns="urn:semi-org:xsd.E142-1.{version}.SubstrateMap">
<Layouts><Layout LayoutId="Wafer" DefaultUnits="mm"><Dimension X="1" Y="1"/></Layout>
<Layout LayoutId="Dies" DefaultUnits="mm"><Dimension X="{columns}" Y="{rows}"/><StepSize X="0.5" Y="2"/></Layout>
</Layouts>
<Substrates><Substrate SubstrateType="Wafer" SubstrateId="W1"><LotId> L7 </LotId></Substrate></Substrates>
<SubstrateMaps>
{"".join(bodies or (e142_body(),))}</SubstrateMaps></MapData>
"""


def g85(picture=PICTURE, device='BinType="Ascii" NullBin="." OriginLocation="3" Orientation="0"', cells=None, **change):
    rows = cells or ["".join(row) for row in picture]
    data = "".join(f"<Row><![CDATA[{row}]]></Row>\n" for row in rows)
    namespace = change.get("namespace", 'xmlns:semi="http://www.semi.org"')
    return f"""<?xml version="1.0"?>
<Maps><Map {namespace} WaferId="W1" FormatRevision="G85-1101">
<Device ProductId="P" LotId="L7" Rows="{change.get("rows", 4)}" Columns="{change.get("columns", 5)}" {device}>
<ReferenceDevice ReferenceDeviceX="1" ReferenceDeviceY="2"/>
{change.get("bins") or bins(picture, tag="Bin")}<Data MapName="sort" MapVersion="1">
{data}</Data></Device></Map></Maps>
"""


SINF = """DEVICE:D1
LOT:L7
WAFER:W1
FNLOC:180
ROWCT:3
COLCT:4
BCEQU:01
REFPX:2
REFPY:1
DUTMS:mil
XDIES:100.000
YDIES:60.000
RowData:__ 01 01 __
RowData:@@ 01 17 01
RowData:__ 0A 01 __
"""
