"""What wafer maps, readouts of stressed devices and lifetimes are read into, whatever tool wrote them."""

from instruments.vocabulary import Column, Vocabulary

WAFER_MAP = Vocabulary(
    "wafer_map",
    "one die of a wafer, or one device of a strip or tray; places without a die have no row",
    (
        Column("substrate_id", "text", "", "the wafer, strip or tray", required=True),
        Column("lot_id", "text", "", "the lot"),
        Column("row", "integer", "", "row as the map lists it, from 0 at the top", required=True),
        Column("column", "integer", "", "column as the map lists it, from 0 at the left", required=True),
        Column("x", "integer", "", "coordinate from the map's origin along its own axis"),
        Column("y", "integer", "", "coordinate from the map's origin along its own axis"),
        Column("upright_row", "integer", "", "row from 0 at the top when turned back to orientation 0"),
        Column("upright_column", "integer", "", "column from 0 at the left when turned back to orientation 0"),
        Column("bin_code", "text", "", "the code in the map, as it is written", required=True),
        Column("bin_number", "number", "", "the code as a number, where the map's codes are numbers"),
        Column("quality", "text", "", "Pass, Fail, Reference, …, as the map says; empty where it does not"),
        Column("description", "text", "", "what the map says of the code"),
        Column("step_x_um", "number", "um", "distance of neighbouring dies in x"),
        Column("step_y_um", "number", "um", "distance of neighbouring dies in y"),
    ),
)

_CONDITIONS = (
    Column("temperature_c", "number", "°C", "temperature of the stress, of the junction if not said otherwise"),
    Column("voltage_v", "number", "V", "voltage of the stress"),
    Column("humidity_percent", "number", "%", "relative humidity of the stress"),
)

READOUT = Vocabulary(
    "readout",
    "one parameter of one device, measured after some time of stress",
    (
        Column("device_id", "text", "", "the device", required=True),
        Column("time_h", "number", "h", "time under stress before the measurement", required=True),
        Column("parameter", "text", "", "what was measured", required=True),
        Column("value", "number", "", "the measured value in the row's unit", required=True),
        Column("unit", "text", "", "unit of value and limits; 1 for a pure number", required=True),
        Column("low_limit", "number", "", "low limit in the row's unit"),
        Column("high_limit", "number", "", "high limit in the row's unit"),
        Column("result", "text", "", "pass or fail"),
        Column("lot_id", "text", "", "the lot"),
        Column("stress", "text", "", "the stress, for example HTOL"),
        *_CONDITIONS,
    ),
)

LIFETIME = Vocabulary(
    "lifetime",
    "one or more devices with the same fate: failed at, before or between known times, or alive until one",
    (
        Column("status", "text", "", "exact, right (alive at time_h), left (failed before) or interval", required=True),
        Column("time_h", "number", "h", "time of an exact failure; last time that a right-censored device was alive"),
        Column("lower_h", "number", "h", "last time that a device was alive which failed in an interval"),
        Column("upper_h", "number", "h", "first time that a device was found failed, left- or interval-censored"),
        Column("count", "integer", "", "devices with this fate", required=True),
        Column("entry_h", "number", "h", "left truncation: devices failed before this time could not be seen"),
        Column("exit_h", "number", "h", "right truncation: devices failing after this time could not be seen"),
        Column("device_id", "text", "", "the device"),
        Column("lot_id", "text", "", "the lot"),
        Column("mode", "text", "", "the failure mode or cause"),
        Column("stress", "text", "", "the stress, for example HTOL"),
        *_CONDITIONS,
    ),
)
