"""Every operation of the contract against every kind of caller, expected from the one table of roles."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete, select, update

from db.repositories.access import INSTALLATION_ACTIONS, ROLE_ACTIONS, SCOPE_OF_ACTION, Action
from db.schema import cases, layers, people, probes, work
from instruments.electrical.e142_map import E142MapAdapter
from services.api.contract import ACTIONS_MEMBER
from tests.api.conftest import CHUNK, TUS, Api, encode_metadata
from tests.api.population import (
    add_account,
    add_case,
    add_instrument_key,
    add_model,
    add_planned_probe,
    add_program,
    add_row,
    add_scored_result,
    add_upload,
    add_webhook,
    populate,
)
from tests.api.report_rows import add_failed_report, add_report
from tests.api.test_die_maps import store
from tests.instruments.electrical.wafer_map_writer import e142

PUBLIC = {("options", "/api/v1/uploads"), ("get", "/livez"), ("get", "/readyz"), ("get", "/metrics")}
NAMED_BY_QUERY = {
    "/api/v1/waveform-views": "?waveform={waveform_id}",
    "/api/v1/rasters/{raster_id}/picture": "?band=grey",
    "/api/v1/waveform-comparisons": "?waveform={probed_id}&simulation={simulation_id}",
}
SCOPES = ["read", "write", "upload"]
PRINTABILITY = {
    "optics": {"wavelength_nm": 193, "numerical_aperture": 0.9, "source": {"shape": "conventional", "outer": 0.5}},
    "mask": {"drawn": "clear"},
    "exposure": {"threshold": 0.3},
    "defects": [{"name": "D1", "kind": "opaque", "x_um": 1, "y_um": 2, "width_nm": 20}],
}
HANDOFF = {
    "material": "silicon",
    "laser": {
        "wavelength_nm": 1030, "pulse_s": 3.5e-13, "fluence_j_cm2": 2, "spot_um": 20, "pitch_x_um": 6, "pitch_y_um": 6,
        "walls": "controlled",
    },
    "layer": {"depth_um": 50, "sigma_um": 1},
    "window": {"x_um": 100, "y_um": 100},
    "fib": {"beam_na": 65},
}  # fmt: skip
TILE = {"name": "reference", "layer": "1_0", "level": "0", "x": "0", "y": "0", "form": "pdf"}
OWN_KEYS = frozenset({Action.READ_KEYS, Action.WRITE_KEYS})
DONE = frozenset({200, 201, 202, 204})
KINDS = (
    *ROLE_ACTIONS, "instrument", "admin with the scope read", "no key", "bad key", "revoked", "expired", "disabled",
    "admin of a foreign program", "no membership", "installation",
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A kind of caller. ``actions``: what it may do in the program; ``outside``: it is no member of it."""

    key: str | None
    actions: frozenset[Action] = frozenset()
    known: bool = True
    outside: bool = False
    sees_instrument_keys: bool = False


@dataclass(frozen=True)
class World:
    """A populated program ``alpha`` and everybody who may knock."""

    api: Api
    program: uuid.UUID
    ids: dict[str, uuid.UUID]
    callers: dict[str, Kind]


@pytest.fixture
def world(api: Api, tmp_path: Path) -> World:
    wafer_map = store(api, tmp_path, E142MapAdapter, "wafer.xml", e142())
    with api.engine.begin() as connection:
        alpha = connection.execute(select(people.program.c.id)).scalar_one()
        connection.execute(delete(people.membership))
    ids = populate(api.engine, api.state.blobs, alpha).ids | {"map_file_id": wafer_map}
    return World(api, alpha, ids, make_callers(api, alpha, ids["instrument_id"]))


def make_callers(api: Api, alpha: uuid.UUID, instrument: uuid.UUID) -> dict[str, Kind]:
    engine = api.engine
    members = {
        role: Kind(add_account(engine, f"the {role}", SCOPES, {alpha: role}), actions | OWN_KEYS,
                   sees_instrument_keys=role == "admin")
        for role, actions in ROLE_ACTIONS.items()
    }  # fmt: skip
    turned_away = {
        name: Kind(add_account(engine, name, SCOPES, {alpha: "admin"}), known=False)
        for name in ("revoked", "expired", "disabled")
    }
    now = datetime.now(UTC)
    with engine.begin() as connection:
        keys, accounts = update(people.api_key), update(people.account)
        connection.execute(keys.where(people.api_key.c.label == "revoked").values(revoked_at=now))
        past = now - timedelta(seconds=1)
        connection.execute(keys.where(people.api_key.c.label == "expired").values(expires_at=past))
        connection.execute(accounts.where(people.account.c.name == "disabled").values(disabled_at=now))
    foreign = add_program(engine, "foreign")
    reads = frozenset(action for action in ROLE_ACTIONS["admin"] | OWN_KEYS if SCOPE_OF_ACTION[action] == "read")
    stranger = add_account(engine, "stranger", SCOPES, {foreign: "admin"})
    return (
        members
        | turned_away
        | {
            "instrument": Kind(add_instrument_key(engine, instrument), frozenset({Action.UPLOAD})),
            "admin with the scope read": Kind(add_account(engine, "reader", ["read"], {alpha: "admin"}), reads),
            "no key": Kind(None, known=False),
            "bad key": Kind("fl_abcdefgh_" + "x" * 43, known=False),
            "admin of a foreign program": Kind(stranger, OWN_KEYS, outside=True),
            "no membership": Kind(add_account(engine, "nobody", SCOPES, {}), OWN_KEYS, outside=True),
            "installation": Kind(
                api.admin_key, OWN_KEYS | INSTALLATION_ACTIONS | {Action.INSTALL}, outside=True,
                sees_instrument_keys=True,
            ),
        }
    )  # fmt: skip


def expected(kind: Kind, actions: frozenset[Action], method: str, path: str) -> frozenset[int]:
    """The statuses that are right."""
    if not kind.known:
        return frozenset({401})
    if path.endswith("/self/health"):  # an instrument reports of itself, and nobody else does
        return DONE if kind.actions == {Action.UPLOAD} else frozenset({403})
    if actions & kind.actions:
        foreign_key = path.endswith("{key_id}") and not kind.sees_instrument_keys
        return frozenset({404}) if foreign_key else DONE
    if not kind.outside or Action.INSTALL in actions:
        return frozenset({403})
    is_list = method == "get" and "{" not in path and path not in NAMED_BY_QUERY
    return DONE if is_list else frozenset({404})


CONVERSION = {
    "program": "alpha",
    "frames": {"schema": "faultlight.frames/1"},
    "source": "mask",
    "target": "die",
    "places": [{"x": 1, "y": 2}],
}


def body_of(method: str, path: str, ids: dict[str, uuid.UUID]) -> Any:
    unique = uuid.uuid4().hex
    members = [{"path": "a", "sha256": unique * 2, "size_bytes": 3}]
    return {
        ("post", "/bundles"): {"program": "alpha", "name": "b", "members": members},
        ("post", "/programs"): {"name": unique},
        ("post", "/accounts"): {"name": unique},
        ("patch", "/accounts/{account_id}"): {"disabled": False},
        ("post", "/memberships"): {"program": "alpha", "account": str(ids["account_id"]), "role": "viewer"},
        ("post", "/instruments"): {"program": "alpha", "name": unique, "kind": "scope"},
        ("post", "/api-keys"): {"label": "k", "scopes": ["read"]},
        ("post", "/chart-baselines"): {"chart": str(ids["chart_id"])},
        ("post", "/probing-sessions/{session_id}/averagings"): {"wrong": 0.01},
        ("post", "/probing-sessions/{session_id}/simulations"): {},
        ("post", "/results/{result_id}/printing-pictures"): {"defect": "D1"},
        ("post", "/probing-sessions/{session_id}/planned-probes"): {"result_id": str(ids["result_id"]), "net": "G10"},
        ("post", "/probing-sessions/{session_id}/comparisons"): {"golden_session_ids": [str(ids["session_id"])]},
        ("post", "/batch-localizations"): {"session_ids": [str(ids["session_id"])]},
        ("post", "/trace-checks"): {"file_ids": [str(ids["file_id"])]},
        ("post", "/population-outliers"): {"session_ids": [str(ids["session_id"])]},
        ("post", "/files/{file_id}/printabilities"): PRINTABILITY,
        ("post", "/files/{file_id}/nets"): {},
        ("put", "/files/{file_id}/layer-names"): {"names": {"68/20": "met1"}},
        ("post", "/files/{file_id}/matches"): {"inspection_file_id": str(ids["file_id"]), "sigma_nm": [1, 1]},
        ("post", "/files/{file_id}/tiles"): {},
        ("post", "/files/{file_id}/signatures"): {},
        ("post", "/files/{file_id}/screenings"): {"group": "lot"},
        ("post", "/files/{file_id}/places"): {"places": [{"x_um": 1, "y_um": 2}]},
        ("post", "/files/{file_id}/windows"): {"window_um": [0, 0, 1, 1]},
        ("post", "/files/{file_id}/overlays"): {"inspection_file_id": str(ids["file_id"])},
        ("post", "/repair-advices"): {"program": "alpha", "tone": "opaque"},
        ("post", "/repair-handoffs"): {"program": "alpha", "handoff": HANDOFF},
        ("post", "/coordinate-conversions"): CONVERSION,
        ("post", "/tables/{table_id}/handoffs"): {"handoff": HANDOFF},
        ("post", "/tables/{table_id}/repair-learnings"): {"material": "silicon"},
        ("post", "/tables/{table_id}/repair-outcomes"): {"defect_table_id": str(ids["table_id"])},
        ("post", "/tables/{table_id}/metrology-maps"): {"scale": "mask", "tone": "clear"},
        ("post", "/tables/{table_id}/life-fits"): {"hours": 1000},
        ("post", "/tables/{table_id}/degradations"): {"threshold": 10},
        ("post", "/tables/{table_id}/latent-risk-trainings"): {"model": "risk"},
        ("post", "/tables/{table_id}/latent-risk-scores"): {"model": "risk", "version": 2},
        ("post", "/tables/{table_id}/latent-risk-drifts"): {"model": "risk"},
        ("post", "/evidence-assemblies"): {"program": "alpha", "lots": ["L1"]},
        ("post", "/model-versions/{version_id}/promotions"): {},
        ("post", "/model-versions/{version_id}/retirements"): {"reason": "old"},
        ("post", "/models/{model_id}/rollbacks"): {},
        ("post", "/cases"): {"program": "alpha", "title": "t"},
        ("patch", "/cases/{case_id}"): {"title": unique},
        ("post", "/cases/{case_id}/steps"): {"kind": "review", "began_at": datetime.now(UTC).isoformat()},
        ("patch", "/case-steps/{step_id}"): {"ended_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()},
        ("post", "/cases/{case_id}/samples"): {"name": unique},
        ("post", "/cases/{case_id}/evidence"): {"probing_session_id": str(ids["session_id"])},
        ("post", "/cases/{case_id}/sign-off"): {},
        ("post", "/cases/{case_id}/reopen"): {"note": "new readings"},
        ("post", "/webhooks"): {"program": "alpha", "url": "https://hooks.example/"},
        ("patch", "/webhooks/{webhook_id}"): {"description": unique},
        ("post", "/report-schedules"): {"program": "alpha", "name": unique, "cron": "0 6 1 * *"},
        ("post", "/report-schedules/previews"): {"program": "alpha", "cron": "0 6 1 * *"},
        ("patch", "/report-schedules/{schedule_id}"): {"description": unique},
        ("post", "/reports"): {"program": "alpha", "title": unique},
        ("post", "/reports/{report_id}/deliveries"): {"recipients": ["bob@fab.example"]},
        ("put", "/instruments/self/health"): {
            "agent_id": str(uuid.uuid4()),
            "agent_version": "1",
            "folder": "scope",
            "waiting_files": 0,
            "waiting_bytes": 0,
            "refused_files": 0,
            "sent_at": datetime.now(UTC).isoformat(),
        },
    }.get((method, path.removeprefix("/api/v1")))


def headers_of(method: str, path: str) -> dict[str, str]:
    if path.endswith("/events"):
        return {"Last-Event-ID": "0-cancelled-0.000000"}
    if "/uploads" not in path:
        return {}
    metadata = encode_metadata({"filename": "a", "program": "alpha"})
    headers = {**TUS, "Upload-Length": "3", "Upload-Metadata": metadata, "Upload-Offset": "0"}
    return {**CHUNK, **headers} if method == "patch" else headers


def _clear(engine: Engine, path: str) -> None:
    """Take away what an attempt before has made, of which there can be one."""
    once = {"planned-probes": probes.planned_probe, "/layer-names": layers.layer_names}
    with engine.begin() as connection:
        for table in (table for part, table in once.items() if part in path):
            connection.execute(delete(table))


def _fresh_report(world: World, path: str) -> dict[str, uuid.UUID]:
    """A report whose mail can be sent again, or one that can be made again, where the path needs it."""
    if path.endswith("/resend"):
        return add_report(world.api.engine, world.api.state.blobs, world.program)
    return {"report_id": add_failed_report(world.api.engine, world.program)} if path.endswith("/makings") else {}


def fresh_ids(world: World, path: str) -> dict[str, uuid.UUID]:
    """The ids of rows that no attempt before has changed."""
    engine, program, ids = world.api.engine, world.program, dict(world.ids)
    ids["account_id"] = add_row(engine, people.account, name=uuid.uuid4().hex)
    if path.endswith("/die-map"):
        ids["file_id"] = ids["map_file_id"]
    if "/case" in path:
        ids |= add_case(engine, program, ids, closed=path.endswith("/reopen"))
    if path.startswith("/api/v1/model"):
        ids |= add_model(engine, world.api.state.blobs, program, ids, uuid.uuid4().hex)
    if path.endswith("/sign-off"):
        with engine.begin() as connection:
            connection.execute(update(cases.case_step).values(ended_at=cases.case_step.c.began_at))
    _clear(engine, path)
    if "planned-probes" in path:
        ids["probe_id"] = add_planned_probe(engine, ids, program)
    if path.endswith("/printing-pictures"):
        payload = {"raw_file_id": str(ids["file_id"]), "question": PRINTABILITY}
        ids["job_id"] = add_row(
            engine, work.job, job_key=uuid.uuid4().hex, program_id=program, kind="printability", queue="cpu",
            payload=payload, requested_by="test",
        )  # fmt: skip
        values = {"job_key": uuid.uuid4().hex, "program_id": program, "kind": "printability", "body": {}}
        ids["result_id"] = add_row(engine, work.result, **values, job_id=ids["job_id"], provenance={})
    if path.endswith("{result_id}/scores"):
        ids["result_id"] = add_scored_result(engine, world.api.state.blobs, program, ids["job_id"])
    if "{upload_id}" in path:
        ids["upload_id"] = add_upload(engine, program, ids["instrument_id"])
    ids |= _fresh_report(world, path)
    if "{webhook_id}" in path:
        ids["webhook_id"] = add_webhook(engine, program)
    if "{membership_id}" in path:
        values = {"account_id": ids["account_id"], "program_id": program, "role": "viewer"}
        ids["membership_id"] = add_row(engine, people.membership, **values)
    if "{job_id}" in path:
        state = "cancelled" if path.endswith("/events") else "queued"
        values = {"job_key": uuid.uuid4().hex, "program_id": program, "kind": "k", "queue": "cpu", "payload": {}}
        ids["job_id"] = add_row(engine, work.job, **values, state=state, requested_by="test")
    return ids


def test_every_operation_answers_each_caller_by_the_table(world: World) -> None:
    wrong, tried = [], 0
    for path, methods in world.api.app.openapi()["paths"].items():
        for method, operation in methods.items():
            if (method, path) in PUBLIC:
                assert ACTIONS_MEMBER not in operation
                continue
            actions = frozenset(map(Action, operation[ACTIONS_MEMBER]))
            for name in KINDS:
                kind, ids = world.callers[name], fresh_ids(world, path)
                headers = headers_of(method, path)
                if kind.key is not None:
                    headers["Authorization"] = f"Bearer {kind.key}"
                target = path.format(**ids, **TILE) + NAMED_BY_QUERY.get(path, "").format(**ids)
                answer = world.api.client.request(
                    method.upper(), target, json=body_of(method, path, ids), headers=headers
                )
                tried += 1
                right = expected(kind, actions, method, path)
                leaks = answer.is_success and kind.outside and not actions & kind.actions
                leaks = leaks and str(world.program) in answer.text
                if answer.status_code not in right or leaks:
                    wrong.append(f"{method} {path} by {name}: {answer.status_code} {answer.text[:200]}, not {right}")
    assert not wrong, "\n".join(wrong)
    assert tried > 700
