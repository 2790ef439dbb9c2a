"""The systemd unit of the upload agent: every option is known to systemd, and what it starts exists."""

import re
import shlex
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli import app
from services.uploader.configuration import UPLOADER_VARIABLES

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "deploy/faultlight-watch.service"
PROGRAM = "/opt/faultlight/bin/faultlight"
NAMES = {name for name, _default, _meaning in UPLOADER_VARIABLES}

SERVICE_OPTIONS = """
Type ExecStart ReadOnlyPaths Environment EnvironmentFile LoadCredential StateDirectory StateDirectoryMode Restart
RestartSec KillSignal TimeoutStopSec DynamicUser UMask ProtectSystem ProtectHome PrivateTmp PrivateDevices
ProtectClock ProtectControlGroups ProtectHostname ProtectKernelLogs ProtectKernelModules ProtectKernelTunables
ProtectProc NoNewPrivileges CapabilityBoundingSet LockPersonality MemoryDenyWriteExecute RestrictAddressFamilies
RestrictNamespaces RestrictRealtime RestrictSUIDSGID SystemCallArchitectures SystemCallFilter SystemCallErrorNumber
Nice IOSchedulingClass CPUSchedulingPolicy MemoryMax
"""
# From systemd.unit(5), systemd.service(5), systemd.exec(5), systemd.kill(5) and systemd.resource-control(5).
KNOWN = {
    "Unit": {"Description", "Documentation", "After", "StartLimitIntervalSec"},
    "Install": {"WantedBy"},
    "Service": set(SERVICE_OPTIONS.split()),
}


def read_unit() -> dict[str, dict[str, list[str]]]:
    """The unit's options by section; an option may be given several times, which configparser does not take."""
    sections: dict[str, dict[str, list[str]]] = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            sections[heading[1]] = defaultdict(list)
            continue
        name, sign, value = line.partition("=")
        assert sign, line
        list(sections.values())[-1][name].append(value)
    return sections


def test_every_option_is_one_of_systemds() -> None:
    sections = read_unit()
    assert set(sections) == set(KNOWN)
    for section, options in sections.items():
        assert set(options) <= KNOWN[section]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """With an executable that exists here in the place of the installed one."""
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text(encoding="utf-8").replace(PROGRAM, sys.executable), encoding="utf-8")
    outcome = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (outcome.returncode, outcome.stderr) == (0, "")


def test_the_command_and_its_variables_exist() -> None:
    service = read_unit()["Service"]
    (command,) = service["ExecStart"]
    program, *arguments = shlex.split(command)
    assert program == PROGRAM
    assert arguments[0] == "watch"
    shown = CliRunner().invoke(app, ["watch", "--help"], terminal_width=200).output
    assert all(each in shown for each in arguments if each.startswith("--"))
    assert {value.partition("=")[0] for value in service["Environment"]} <= NAMES
    mentioned = set(re.findall(r"FAULTLIGHT_[A-Z_]+", UNIT.read_text(encoding="utf-8")))
    assert mentioned <= NAMES


def test_the_unit_is_hardened_and_never_gives_up() -> None:
    service, unit = read_unit()["Service"], read_unit()["Unit"]
    (command,) = service["ExecStart"]
    assert service["ReadOnlyPaths"] == [shlex.split(command)[2]]
    for name, value in {
        "DynamicUser": "yes", "StateDirectory": "faultlight", "Restart": "always", "ProtectSystem": "strict",
        "NoNewPrivileges": "yes", "CapabilityBoundingSet": "",
    }.items():  # fmt: skip
        assert service[name] == [value]
    assert unit["StartLimitIntervalSec"] == ["0"]
    assert not any("KEY=" in value for value in service["Environment"]), "the key is no one's to read in the unit"


def test_the_uploaders_variables_are_all_documented() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "services/uploader").glob("*.py"))
    assert set(re.findall(r"FAULTLIGHT_[A-Z_]+", source)) == NAMES
    guide = (ROOT / "docs/guides/upload.md").read_text(encoding="utf-8")
    assert not {name for name in NAMES if f"`{name}`" not in guide}
