"""What killed workers leave is swept by age."""

import os
import time
from pathlib import Path

from services.workers.scratch import sweep_scratch

HOUR_S = 3600.0


def test_stale_scratch_folders_are_swept(tmp_path: Path) -> None:
    for name in ("ingest-old", "ingest-busy"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "samples.bin").write_bytes(b"x")
    past = time.time() - 2 * HOUR_S
    os.utime(tmp_path / "ingest-old" / "samples.bin", (past, past))
    for name in ("ingest-old", "ingest-busy"):
        os.utime(tmp_path / name, (past, past))
    assert sweep_scratch(tmp_path, HOUR_S) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["ingest-busy"]
    assert sweep_scratch(tmp_path / "nowhere", HOUR_S) == 0
