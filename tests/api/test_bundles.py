"""Bundles: declared, filled in any order, received once."""

import uuid
from typing import Any

import pytest

from tests.api.conftest import Api, sha256

FILES = {"session.json": b"{}", "waves/a.csv": b"time_s,reflectance\n", "waves/ä.csv": b"same", "copy.csv": b"same"}


def declaration(files: dict[str, bytes], name: str = "S-1") -> dict[str, Any]:
    members = [{"path": path, "sha256": sha256(data), "size_bytes": len(data)} for path, data in files.items()]
    return {"program": "alpha", "name": name, "members": members}


def test_a_bundle_is_received_with_its_last_member(api: Api) -> None:
    answer = api.call("POST", "/bundles", json=declaration(FILES))
    assert answer.status_code == 201
    bundle = answer.json()
    assert (bundle["state"], bundle["missing"], bundle["job_id"]) == ("open", sorted(FILES), None)
    for path in ("session.json", "waves/a.csv"):
        sent = api.upload(FILES[path], path.rsplit("/", 1)[-1], bundle=bundle["id"], path=path)
        assert sent.status_code == 204
        assert "Faultlight-Job" not in sent.headers
    assert api.call("GET", f"/bundles/{bundle['id']}").json()["missing"] == ["copy.csv", "waves/ä.csv"]
    last = api.upload(b"same", "copy.csv", bundle=bundle["id"], path="copy.csv")
    bundle = api.call("GET", f"/bundles/{bundle['id']}").json()
    assert (bundle["state"], bundle["missing"]) == ("received", [])
    assert bundle["job_id"] == last.headers["Faultlight-Job"]
    jobs = api.call("GET", "/jobs").json()["items"]
    assert [(job["kind"], job["payload"]) for job in jobs] == [("ingest", {"bundle_id": bundle["id"]})]
    assert api.call("GET", "/jobs", params={"bundle": bundle["id"]}).json()["items"] == jobs
    assert api.call("GET", "/jobs", params={"bundle": str(uuid.uuid4())}).json()["items"] == []


def test_the_same_content_is_the_same_bundle(api: Api) -> None:
    first = api.call("POST", "/bundles", json=declaration(FILES)).json()
    again = api.call("POST", "/bundles", json=declaration(dict(reversed(FILES.items())), "other name"))
    assert (again.status_code, again.json()["id"]) == (200, first["id"])


def test_known_files_need_not_be_sent(api: Api) -> None:
    api.upload(b"{}", "session.json")
    bundle = api.call("POST", "/bundles", json=declaration(FILES)).json()
    assert bundle["missing"] == ["copy.csv", "waves/a.csv", "waves/ä.csv"]
    for path in ("waves/a.csv", "copy.csv"):
        api.upload(FILES[path], "x", bundle=bundle["id"], path=path)
    other = api.call("POST", "/bundles", json=declaration({**FILES, "session.json": b"time_s,reflectance\n"})).json()
    assert (other["state"], other["missing"]) == ("received", [])
    assert other["job_id"] is not None


def test_a_known_file_joins_its_bundle_without_bytes(api: Api) -> None:
    bundle = api.call("POST", "/bundles", json=declaration({"a": b"one"})).json()
    api.upload(b"one", "elsewhere")
    joined = api.announce(b"one", "a", sha256=sha256(b"one"), bundle=bundle["id"], path="a")
    assert joined.status_code == 200
    after = api.call("GET", f"/bundles/{bundle['id']}").json()
    assert (after["state"], after["job_id"]) == ("received", joined.json()["job_id"])


@pytest.mark.parametrize(
    "path",
    ["../a", "a/../b", "/etc/passwd", "C:/a", "a\\b", "a\x00b", "a//b", "./a", "a/", "", "a\nb", "x" * 1025],
)
def test_a_hostile_path_is_refused(api: Api, path: str) -> None:
    answer = api.call("POST", "/bundles", json=declaration({path: b"x"}))
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/invalid-request"


@pytest.mark.parametrize("paths", [("é", "e\u0301"), ("a", "a/b"), ("a/b", "a/b/c/d")])
def test_members_that_cannot_lie_side_by_side_are_refused(api: Api, paths: tuple[str, str]) -> None:
    answer = api.call("POST", "/bundles", json=declaration(dict.fromkeys(paths, b"x")))
    assert answer.status_code == 422


def test_a_file_must_be_what_the_bundle_declares(api: Api) -> None:
    bundle = api.call("POST", "/bundles", json=declaration(FILES)).json()
    wrong_size = api.announce(b"{}}", bundle=bundle["id"], path="session.json")
    assert wrong_size.json()["type"] == "/problems/bundle-mismatch"
    assert api.announce(b"{}", bundle=bundle["id"], path="nowhere").status_code == 404
    wrong_bytes = api.upload(b"[]", bundle=bundle["id"], path="session.json")
    assert wrong_bytes.status_code == 460
    assert "session.json" in api.call("GET", f"/bundles/{bundle['id']}").json()["missing"]


def test_limits_of_a_declaration(api: Api) -> None:
    object.__setattr__(api.state, "settings", api.state.settings.model_copy(update={"bundle_max_members": 2}))
    assert api.call("POST", "/bundles", json=declaration(FILES)).status_code == 422
    assert api.call("POST", "/bundles", json={"program": "alpha", "name": "x", "members": []}).status_code == 422
    unknown = declaration(FILES) | {"surprise": 1}
    assert api.call("POST", "/bundles", json=unknown).status_code == 422
    huge = b'{"program": "alpha", "name": "' + b"x" * (17 << 20) + b'"}'
    assert api.call("POST", "/bundles", content=huge).status_code == 413
