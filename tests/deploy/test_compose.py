"""The production files, checked without a container engine: schema, and what the schema cannot see."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from services.cli import app
from services.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "Dockerfile"
OWN_SERVICES = ("migrate", "api", "cpu-worker", "gpu-worker", "scheduler")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The compose file with its anchors and merges resolved."""
    document = yaml.safe_load(COMPOSE.read_text())
    assert isinstance(document, dict)
    return document


@pytest.fixture(scope="module")
def dockerfile() -> list[list[str]]:
    """The Dockerfile's instructions, continuation lines joined, split into words."""
    text = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text())
    return [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def test_compose_file_fits_the_specification() -> None:
    """The published JSON schema of the compose specification accepts the file."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout


def test_yaml_is_tidy() -> None:
    """yamllint's relaxed rules hold."""
    command = [
        sys.executable,
        "-m",
        "yamllint",
        "-d",
        "{extends: relaxed, rules: {line-length: disable}}",
        str(COMPOSE),
    ]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout


def test_depends_on_names_services_that_can_satisfy_it(compose: dict[str, Any]) -> None:
    """Every dependency exists; one waited for as healthy has a health check, as completed is run once."""
    services = compose["services"]
    for name, service in services.items():
        for target, condition in service.get("depends_on", {}).items():
            assert target in services, f"{name} depends on {target}"
            if condition["condition"] == "service_healthy":
                assert "healthcheck" in services[target], f"{name} waits for the health of {target}"
            if condition["condition"] == "service_completed_successfully":
                assert services[target]["restart"] == "no", f"{name} waits for the end of {target}"


def test_everything_waits_for_the_one_migration(compose: dict[str, Any]) -> None:
    """Only `migrate` changes the schema, and what uses the schema waits for it."""
    services = compose["services"]
    assert [name for name, service in services.items() if service.get("command") == ["migrate"]] == ["migrate"]
    for name in OWN_SERVICES:
        if name != "migrate":
            assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_volumes_are_declared_and_used(compose: dict[str, Any]) -> None:
    """No service mounts an undeclared volume and none is declared for nothing."""
    mounted = {entry.split(":")[0] for service in compose["services"].values() for entry in service.get("volumes", [])}
    assert mounted == set(compose["volumes"])


def test_commands_exist_with_their_options(compose: dict[str, Any]) -> None:
    """Each service's command line is one that the command `faultlight` accepts."""
    group = typer.main.get_command(app)
    for name in OWN_SERVICES:
        service = compose["services"][name]
        lines = [service["command"]]
        test = service.get("healthcheck", {}).get("test", [])
        if test[1:2] == ["faultlight"]:
            lines.append(test[2:])
        for command, *arguments in lines:
            subcommand = group.commands[command]  # type: ignore[attr-defined]
            known = {option for parameter in subcommand.params for option in parameter.opts}
            assert {word for word in arguments if word.startswith("--")} <= known, f"{name}: {command} {arguments}"


def test_environment_variables_are_settings(compose: dict[str, Any]) -> None:
    """Every FAULTLIGHT_ variable that a service gets is one that the service reads."""
    known = {f"FAULTLIGHT_{field.upper()}" for field in Settings.model_fields}
    for name in OWN_SERVICES:
        given = {key for key in compose["services"][name]["environment"] if key.startswith("FAULTLIGHT_")}
        assert given, name
        assert given <= known, f"{name}: {given - known}"


def test_secrets_have_no_default_and_are_documented() -> None:
    """Passwords come from the environment or compose refuses to start."""
    text = COMPOSE.read_text()
    documented = set(
        re.findall(r"^([A-Z][A-Z0-9_]*)=", (ROOT / "deploy/compose.env.example").read_text(), re.MULTILINE)
    )
    variables = {match[1]: match[2] for match in re.finditer(r"(?<!\$)\$\{([A-Z0-9_]+)((?::[?-])?)", text)}
    assert set(variables) == documented
    for name, operator in variables.items():
        if re.search("PASSWORD|SECRET|KEY", name):
            assert operator == ":?", f"{name} must have no default"
    assert not re.search(r"PASSWORD: [a-z0-9]", text)


def test_redis_keeps_its_queue_and_refuses_rather_than_evicts(compose: dict[str, Any]) -> None:
    """AOF on, no eviction, a password."""
    words = shlex.split(compose["services"]["redis"]["command"])
    assert words[words.index("--appendonly") + 1] == "yes"
    assert words[words.index("--maxmemory-policy") + 1] == "noeviction"
    assert "--requirepass" in words


def test_gpu_worker_reserves_a_device(compose: dict[str, Any]) -> None:
    """The GPU worker gets one NVIDIA device and serves the gpu queue."""
    service = compose["services"]["gpu-worker"]
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert "gpu" in service["command"]


def test_image_is_multi_stage_and_runs_without_root(dockerfile: list[list[str]]) -> None:
    """Two stages; the last one has a numeric user that is not root, and no compiler stage leaks into it."""
    stages = [index for index, words in enumerate(dockerfile) if words[0] == "FROM"]
    assert len(stages) == 2
    final = dockerfile[stages[-1] :]
    users = [words[1] for words in final if words[0] == "USER"]
    assert users
    assert users[-1].split(":")[0].isdigit()
    assert users[-1].split(":")[0] != "0"
    assert not any(words[0] == "RUN" and "pip" in words for words in final)


def test_image_copies_what_exists_and_installs_a_known_extra(dockerfile: list[list[str]]) -> None:
    """Sources of COPY are in the project and let through by .dockerignore; the extra is in pyproject.toml."""
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for words in dockerfile:
        if words[0] == "COPY" and not words[1].startswith("--from"):
            for source in words[1:-1]:
                assert (ROOT / source).exists(), source
                assert source in allowed, source
    extras = re.findall(r"\.\[([a-z]+)\]", DOCKERFILE.read_text())
    pyproject = (ROOT / "pyproject.toml").read_text()
    assert extras
    assert all(re.search(rf"^{extra} = \[", pyproject, re.MULTILINE) for extra in extras)


def test_every_writable_path_of_the_containers_is_a_volume_or_temporary(compose: dict[str, Any]) -> None:
    """The root file system is read-only, so staging and scratch lie on volumes where a service writes there."""
    services = compose["services"]
    for name, folder in (
        ("api", "staging"),
        ("scheduler", "scratch"),
        ("cpu-worker", "scratch"),
        ("gpu-worker", "scratch"),
    ):
        assert services[name]["read_only"]
        targets = {entry.split(":")[1] for entry in services[name]["volumes"]}
        assert services[name]["environment"][f"FAULTLIGHT_{folder.upper()}_DIR"] in targets


def test_a_service_that_gives_signs_of_life_can_write_them(compose: dict[str, Any]) -> None:
    """`worker-health` looks at a file in the scratch folder; on a read-only root it lies on a volume of its own."""
    services, scratch = compose["services"], set()
    for name, service in services.items():
        if service.get("healthcheck", {}).get("test", [])[1:] == ["faultlight", "worker-health"]:
            folder = service["environment"]["FAULTLIGHT_SCRATCH_DIR"]
            (volume,) = [entry.split(":")[0] for entry in service["volumes"] if entry.split(":")[1] == folder]
            scratch.add(volume)
            assert name in OWN_SERVICES
    assert len(scratch) == 3, "one shows signs of life for another"


def test_images_are_pinned_and_only_the_api_is_reachable(compose: dict[str, Any]) -> None:
    """Every image has a version, and no port but the API's leaves the network, by default only to this host."""
    for name, service in compose["services"].items():
        _, _, tag = service["image"].rpartition(":")
        assert tag
        assert tag != "latest", name
        assert bool(service.get("ports")) == (name == "api"), name
    assert re.fullmatch(r"\$\{FAULTLIGHT_LISTEN:-127\.0\.0\.1:8460\}:8460", compose["services"]["api"]["ports"][0])


def test_the_api_listens_where_it_is_published_and_checked(compose: dict[str, Any]) -> None:
    """The port in the settings, in the mapping, in the health check and in the image are one."""
    service = compose["services"]["api"]
    port = service["environment"]["FAULTLIGHT_API_PORT"]
    assert service["environment"]["FAULTLIGHT_API_HOST"] == "0.0.0.0"
    assert service["ports"][0].endswith(f":{port}")
    assert f"http://127.0.0.1:{port}/readyz" in service["healthcheck"]["test"][-1]
    assert f"EXPOSE {port}" in DOCKERFILE.read_text()


def test_what_every_process_needs_is_configured(compose: dict[str, Any]) -> None:
    """Database, broker and blob store point at services of this file, with its credentials."""
    services = compose["services"]
    for name in OWN_SERVICES:
        given = services[name]["environment"]
        for variable in ("DATABASE_URL", "BROKER_URL", "BLOB_URL", "S3_ENDPOINT", "S3_ACCESS_KEY_ID"):
            assert given.get(f"FAULTLIGHT_{variable}"), f"{name} lacks {variable}"
        hosts = re.findall(r"[@/]([a-z]+):\d+", " ".join(str(value) for value in given.values()))
        assert {"postgres", "redis", "objects"} <= set(hosts) <= {*services, "localhost"}
    user, database = (services["postgres"]["environment"][key] for key in ("POSTGRES_USER", "POSTGRES_DB"))
    url = services["api"]["environment"]["FAULTLIGHT_DATABASE_URL"]
    assert url.startswith(f"postgresql+psycopg://{user}:")
    assert url.endswith(f":5432/{database}")
    bucket = services["api"]["environment"]["FAULTLIGHT_BLOB_URL"].removeprefix("s3://").split("/")[0]
    assert services["create-bucket"]["command"][0].endswith(f"store/{bucket}")


def test_a_stopped_worker_has_time_to_give_its_job_back(compose: dict[str, Any]) -> None:
    """The grace before SIGKILL is longer than the lease, so a warm stop costs no attempt."""
    lease_s = float(Settings.model_fields["lease_s"].default)
    for name in ("cpu-worker", "gpu-worker"):
        assert float(compose["services"][name]["stop_grace_period"].removesuffix("s")) > lease_s


def test_the_image_runs_a_command_that_exists(dockerfile: list[list[str]]) -> None:
    """ENTRYPOINT is a script of the project, CMD one of its commands; the user owns what it writes to."""
    last = {words[0]: " ".join(words[1:]) for words in dockerfile}
    (entry,) = json.loads(last["ENTRYPOINT"])
    assert re.search(rf'^{entry} = "services\.cli:main"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    (command,) = json.loads(last["CMD"])
    assert command in typer.main.get_command(app).commands  # type: ignore[attr-defined]
    text = DOCKERFILE.read_text()
    uid = last["USER"].split(":")[0]
    assert f"--uid {uid} " in text
    for folder in ("staging", "scratch"):
        assert f"/var/lib/faultlight/{folder}" in text, "a named volume takes its owner from the image"
    assert not any(
        words[0] in {"ARG", "ENV"} and re.search("PASSWORD|SECRET|TOKEN", " ".join(words)) for words in dockerfile
    )


def test_broken_files_are_noticed(tmp_path: Path) -> None:
    """The check of the specification is not a rubber stamp."""
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(COMPOSE.read_text().replace("depends_on:", "dependson:"))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(broken)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    assert outcome.returncode != 0
    assert "dependson" in outcome.stdout


def test_the_whole_check_covers_lint_types_contracts_and_the_suite() -> None:
    """`.ci/run` calls what the Makefile has, and `make lint` is all four checks."""
    script = (ROOT / ".ci" / "run").read_text()
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    called = set(re.findall(r"\bmake ([a-z]+)", script))
    assert {"setup", "lint", "test", "demo"} <= called <= targets
    lint = makefile.split("\nlint:")[1].split("\n\n")[0]
    for tool in ("ruff check", "ruff format --check", "mypy", "lint-imports"):
        assert tool in lint
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
