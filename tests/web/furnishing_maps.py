"""A golden session and one with a break in its scan chain, with LVI maps, compared; SIMULATED."""

import shutil
import tempfile
from pathlib import Path

import httpx

from services.uploader.client import UploadClient
from tests.pipelines.test_anomaly import add_maps, write
from tests.web.furnishing import await_state, post


def furnish_maps(url: str, key: str) -> dict[str, str]:
    """Add them to the program ``demo`` of a running service; the ids of what was made."""
    with (
        tempfile.TemporaryDirectory() as folder,
        httpx.Client(
            base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=60
        ) as http,
        UploadClient(url, key) as client,
    ):
        golden = _upload(http, client, _write(Path(folder), "golden", 1))
        mapped = _upload(http, client, _write(Path(folder), "suspect", 3, reached=5, missing=6))
        job = post(http, f"probing-sessions/{mapped}/comparisons", golden_session_ids=[golden])
        await_state(http, f"jobs/{job['id']}", {"succeeded"})
    return {"golden": golden, "mapped": mapped}


def _write(folder: Path, role: str, seed: int, *, reached: int = 12, missing: int | None = None) -> Path:
    session = folder / role
    session.mkdir()
    write(session, 7, None, role)
    add_maps(session, seed, reached=reached, missing=missing)
    return Path(shutil.make_archive(str(folder / f"{role}-maps"), "zip", session))


def _upload(http: httpx.Client, client: UploadClient, archive: Path) -> str:
    raw_file = client.upload_file(archive, "demo").raw_file_id
    await_state(http, f"files/{raw_file}", {"stored"})
    sessions = http.get("probing-sessions", params={"limit": 50}).json()["items"]
    return str(next(each["id"] for each in sessions if each["raw_file_id"] == str(raw_file)))
