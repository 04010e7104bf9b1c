"""The examples of docs/deploy are what the programs they are for read."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from keyturn.config import Settings
from tests.support.parts import need
from tests.support.server import ROOT

DEPLOY = ROOT / "docs" / "deploy"
MANIFESTS = list(yaml.safe_load_all((DEPLOY / "kubernetes.yml").read_text()))


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: str(manifest["kind"]))
def test_a_kubernetes_manifest_fits_its_schema(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, "1.37", strict=True)


def containers() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    pods = [
        one["spec"]["template"]["spec"] for one in MANIFESTS if "template" in one.get("spec", {})
    ]
    return [(pod, container) for pod in pods for container in pod["containers"]]


def test_every_container_is_neither_root_nor_writes_to_its_image() -> None:
    for pod, container in containers():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False


def test_the_probes_ask_routes_that_are_there() -> None:
    (served,) = [container for _, container in containers() if "livenessProbe" in container]
    paths = {
        served[f"{probe}Probe"]["httpGet"]["path"] for probe in ("liveness", "readiness", "startup")
    }
    assert paths == {"/livez", "/readyz"}


def test_the_compose_file_fits_its_schema() -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [str(program), "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yml")]
    checked = subprocess.run(command, check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_the_systemd_unit_is_understood(tmp_path: Path) -> None:
    unit = (DEPLOY / "keyturn.service").read_text()
    # systemd looks whether the programs are there: these are.
    for program in ("flask", "gunicorn"):
        unit = unit.replace(
            f"/opt/keyturn/.venv/bin/{program}", str(Path(sys.executable).with_name(program))
        )
    file = tmp_path / "keyturn.service"
    file.write_text(unit)
    systemd = need("systemd-analyze", "systemd")
    checked = subprocess.run([systemd, "verify", file], check=False, capture_output=True, text=True)
    complaints = [line for line in checked.stderr.splitlines() if "keyturn.service" in line]
    assert complaints == []


def test_every_setting_in_them_is_one() -> None:
    known = {name.upper() for name in Settings.__dataclass_fields__}
    data = next(one["data"] for one in MANIFESTS if one["kind"] == "ConfigMap")
    compose = yaml.safe_load((DEPLOY / "compose.yml").read_text())
    assert data.keys() <= known
    assert compose["services"]["keyturn"]["environment"].keys() <= known
