"""Dies of stored logs and maps, against the simulation that the log was written from."""

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instruments.electrical.atdf import AtdfAdapter
from instruments.electrical.e142_map import E142MapAdapter
from instruments.electrical.readouts import ReadoutsAdapter
from tests.api.conftest import Api
from tests.api.test_service import program_id
from tests.instruments.electrical.wafer_map_writer import e142
from tests.instruments.mask.sources import read_all, written
from tests.pipelines.bench import Bench, reader
from tests.pipelines.simulated_wafers import simulate_wafer, write_atdf
from tests.workers.scenery import add_ingest, store_original

WAFERS = [simulate_wafer(1, "W1"), simulate_wafer(2, "W2")]


def store(api: Api, folder: Path, adapter: Any, name: str, text: str) -> uuid.UUID:
    _, found = read_all(adapter(), written(folder, name, text))
    program = program_id(api)
    file_id = store_original(api.engine, api.state.blobs, program, name, text.encode())
    bench = Bench(api.engine, api.state.blobs, api.state.settings)
    bench.ingest(add_ingest(api.engine, program, {"raw_file_id": str(file_id)}), reader(*found))
    return file_id


def test_a_wafer_of_a_log_die_by_die(api: Api, tmp_path: Path) -> None:
    file_id = store(api, tmp_path, AtdfAdapter, "lot.atdf", write_atdf(WAFERS))
    answer = api.call("GET", f"/files/{file_id}/die-map", params={"wafer": "W2", "test": "200"}).json()
    dies, wafer = answer["dies"], WAFERS[1]
    assert (answer["test"], answer["unit"], answer["simulated"], dies["lot"]) == ("200 delay", "ns", True, "LOT1")
    truth = {(int(x), int(y)): n for n, (x, y) in enumerate(zip(wafer.column, wafer.row, strict=True))}
    order = [truth[place] for place in zip(dies["x"], dies["y"], strict=True)]
    assert sorted(order) == list(range(wafer.column.size))
    assert dies["y"] == sorted(dies["y"])
    assert dies["value"] == pytest.approx(wafer.delay_ns[order], rel=1e-6)
    assert np.array_equal([each == "fail" for each in dies["verdict"]], wafer.failed[order])
    assert set(zip(dies["verdict"], dies["hard_bin"], dies["soft_bin"], strict=True)) == {
        ("pass", "1", "1"), ("fail", "2", "2")
    }  # fmt: skip
    counts = {"dies": 317, "passed": 309, "failed": 8}
    assert answer["wafers"] == [{"lot": "LOT1", "wafer": each} | counts for each in ("W1", "W2")]
    assert [each["label"] for each in answer["tests"]] == ["100 leakage", "200 delay"]
    first = api.call("GET", f"/files/{file_id}/die-map").json()
    assert (first["dies"]["wafer"], first["dies"]["value"]) == ("W1", None)
    for wrong in ({"wafer": "W9"}, {"test": "300"}, {"lot": "other"}):
        assert api.call("GET", f"/files/{file_id}/die-map", params=wrong).status_code == 404


def test_a_map_has_codes_and_devices_without_places_are_refused(api: Api, tmp_path: Path) -> None:
    file_id = store(api, tmp_path, E142MapAdapter, "map.xml", e142())
    dies = api.call("GET", f"/files/{file_id}/die-map").json()["dies"]
    assert len(dies["x"]) == len(dies["hard_bin"]) == 15
    assert dies["verdict"].count("pass") == 10
    readouts = "device_id,time_h,parameter,value,unit\nA,0,vth,0.4,V\n"
    nowhere = store(api, tmp_path, ReadoutsAdapter, "r.csv", readouts)
    assert api.call("GET", f"/files/{nowhere}/die-map").status_code == 404


def test_brackets_are_an_element_or_part_of_a_name_and_none_stands_for_another(api: Api, tmp_path: Path) -> None:
    lines = write_atdf([simulate_wafer(1, "W1")]).replace("leakage", "D[3]").splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("PTR:200"))
    lines.insert(first, "MPR:300|1|1|1,4|0.25,0.5|P||leak||LH|A|0|1|0.5|0.25|V|1,2")
    file_id = store(api, tmp_path, AtdfAdapter, "pins.atdf", "\n".join(lines) + "\n")

    def ask(test: str) -> Any:
        return api.call("GET", f"/files/{file_id}/die-map", params={"test": test})

    assert (ask("D[3]").json()["test"], ask("100 D[3]").json()["test"]) == ("100 D[3]", "100 D[3]")
    read = {test: [v for v in ask(test).json()["dies"]["value"] if v is not None] for test in ("300", "300 leak[1]")}
    assert read == {"300": [0.25], "300 leak[1]": [0.5]}
    for wrong in ("leak[7]", "D[4]", "D"):
        assert ask(wrong).status_code == 404, wrong
