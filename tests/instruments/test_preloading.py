"""What the reading server loads ahead: all that any format needs, without a thread, and only once it was needed."""

import subprocess
import sys
import time
from pathlib import Path

from instruments.preloading import ENVIRONMENT, LIBRARIES
from instruments.sandbox import Sandbox
from tests.adapter_contract.cases import CASES

ROOT = Path(__file__).resolve().parents[2]
READ_EVERYTHING = """
import importlib, os, sys, tempfile
from pathlib import Path
from instruments.preloading import LIBRARIES
from instruments.registry import read_source
from tests.adapter_contract.cases import CASES, registry

adapters = registry()
for name in LIBRARIES:
    importlib.import_module(name)
threads = len(os.listdir("/proc/self/task"))
before = set(sys.modules)
for case in CASES.values():
    with tempfile.TemporaryDirectory() as folder:
        read_source(case.place(Path(folder)), adapters)
late = {name for name in set(sys.modules) - before if name.partition(".")[0] not in sys.stdlib_module_names}
print(threads, *sorted(late))
"""


def test_with_them_no_reading_loads_anything_and_no_thread_is_there() -> None:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **ENVIRONMENT}
    command = [sys.executable, "-c", READ_EVERYTHING]
    outcome = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    assert outcome.stdout.splitlines()[-1] == "1"


def test_the_server_loads_what_a_reading_has_needed_and_nothing_else(tmp_path: Path) -> None:
    def holds(library: str, server: int) -> bool:
        return f"/{library}/" in Path(f"/proc/{server}/maps").read_text()

    with Sandbox() as sandbox:
        for name in ("bench_netlist", "klarf"):
            source = CASES[name].place(tmp_path)
            reading = sandbox.read(source.path, source.name, tmp_path / name)
            assert reading.adapter == name
            assert sandbox._server is not None
            if name == "bench_netlist":
                assert not holds("pyarrow", sandbox._server.pid)
        deadline = time.monotonic() + 60
        while not holds("pyarrow", sandbox._server.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert holds("pyarrow", sandbox._server.pid)
        assert not holds("h5py", sandbox._server.pid)
        source = CASES["klarf"].place(tmp_path)
        assert sandbox.read(source.path, source.name, tmp_path / "again").records[0].parts[0].count == 2


def test_every_library_is_named_once() -> None:
    assert len(set(LIBRARIES)) == len(LIBRARIES)
