"""A creation request whose answer was lost: sent again with its key, it is the same upload."""

import pytest
from sqlalchemy import func, select

from db.repositories import quota
from db.schema.files import upload
from tests.api.conftest import CHUNK, TUS, Api, StartApi, encode_metadata, sha256
from tests.api.population import add_account

DATA = b"the bytes of a file" * 10
KEY = "0123456789abcdef"


def count(api: Api) -> int:
    with api.engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(upload)).scalar_one())


def begin(api: Api, data: bytes = DATA, **metadata: str) -> str:
    answer = api.announce(data, **({"sha256": sha256(data), "creation-key": KEY} | metadata))
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


def test_a_repeated_creation_is_the_same_upload(api: Api) -> None:
    first = begin(api)
    assert begin(api) == first
    assert api.send(first, 0, DATA[:50]).status_code == 204
    again = api.announce(DATA, **{"sha256": sha256(DATA), "creation-key": KEY})
    assert (again.headers["Location"], again.headers["Upload-Offset"]) == (first, "50")
    assert count(api) == 1
    assert begin(api, **{"creation-key": KEY + "x"}) != first


def test_a_repeated_creation_with_bytes_takes_them_once(api: Api) -> None:
    first = begin(api)
    metadata = {"filename": "a.csv", "program": "alpha", "sha256": sha256(DATA), "creation-key": KEY}
    headers = {**CHUNK, "Upload-Length": str(len(DATA)), "Upload-Metadata": encode_metadata(metadata)}
    whole = api.call("POST", "/uploads", content=DATA, headers=headers)
    assert (whole.status_code, whole.headers["Location"]) == (201, first)
    assert whole.headers["Upload-Offset"] == str(len(DATA))
    again = api.call("POST", "/uploads", content=DATA, headers=headers)
    assert (again.status_code, again.json()["raw_file_id"]) == (200, whole.headers["Faultlight-Raw-File"])
    assert count(api) == 1


def test_a_repeated_creation_counts_once_against_the_quota(start_api: StartApi) -> None:
    api = start_api(program_quota_bytes=len(DATA) + 10)
    api.call("POST", "/programs", json={"name": "alpha"})
    first = begin(api)
    assert begin(api) == first
    without = api.announce(DATA, sha256=sha256(DATA))
    assert (without.status_code, without.json()["type"]) == (413, "/problems/quota-exceeded")
    assert api.send(first, 0, DATA).status_code == 204


def test_a_repeated_creation_lets_an_expired_upload_live_on(api: Api) -> None:
    first = begin(api)
    assert api.send(first, 0, DATA[:50]).status_code == 204
    with api.engine.begin() as connection:
        connection.execute(upload.update().values(expires_at=func.now()))
    assert begin(api) == first
    assert api.offset(first) == 50


def test_a_key_stands_for_one_file_of_one_caller(api: Api) -> None:
    first = begin(api)
    other = api.announce(DATA + b"x", **{"creation-key": KEY})
    assert (other.status_code, other.json()["type"]) == (409, "/problems/conflict")
    program = api.call("GET", "/programs").json()["items"][0]["id"]
    stranger = add_account(api.engine, "other", ["upload"], {program: "engineer"})
    theirs = api.announce(DATA, key=stranger, **{"sha256": sha256(DATA), "creation-key": KEY})
    assert (theirs.status_code, theirs.headers["Location"] != first) == (201, True)


def test_a_key_may_be_used_again_when_its_upload_is_gone(api: Api) -> None:
    first = begin(api)
    assert api.call("DELETE", first, headers=TUS).status_code == 204
    assert begin(api) != first


@pytest.mark.parametrize("key", ["short", "x" * 129, "with a blank in it", "ümlaut-in-the-key"])
def test_a_wrong_key_is_refused(api: Api, key: str) -> None:
    answer = api.announce(DATA, **{"creation-key": key})
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-upload-metadata")


def test_a_creation_that_is_late_does_not_begin_what_has_ended(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client dies with its creation on the way; its successor repeats it and sends all, before the first is done."""
    metadata = {"sha256": sha256(DATA), "creation-key": KEY}
    lock_program = quota.lock_program

    def be_late(*arguments: object) -> None:
        monkeypatch.undo()
        first = begin(api, **metadata)
        assert api.send(first, 0, DATA).status_code == 204
        lock_program(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(quota, "lock_program", be_late)
    late = api.announce(DATA, **metadata)
    assert (late.status_code, late.json()["known"]) == (200, True)
    with api.engine.connect() as connection:
        unfinished = select(func.count()).select_from(upload).where(upload.c.completed_at.is_(None))
        assert connection.execute(unfinished).scalar_one() == 0
