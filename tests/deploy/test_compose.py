"""The production files, checked without a container engine: schema, and what the schema cannot see."""

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
