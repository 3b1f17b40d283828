#!/usr/bin/env python3
"""Checks the files in this directory against each other and against the real binary.

    python deploy/check.py target/debug/presignd

Exits with 0 if all checks pass, and with 1 and one sentence per failed check otherwise. Needs PyYAML. It starts no
server, and needs neither a cluster nor systemd nor Docker.
"""

import configparser
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

DEPLOY = Path(__file__).resolve().parent
SIDECAR = DEPLOY / "kubernetes" / "sidecar.yaml"
UNIT = DEPLOY / "systemd" / "presignd.service"
TOML = DEPLOY / "systemd" / "presignd.toml"
DOCKERFILE = DEPLOY / "Dockerfile"
MANIFEST = DEPLOY.parent / "Cargo.toml"

CONTAINER = "presignd"
SKIP = "eks.amazonaws.com/skip-containers"
SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60}

failures: list[str] = []


def expect(condition: object, sentence: str) -> None:
    if not condition:
        failures.append(sentence)


def effective_settings(
    binary: str, arguments: list[str], what: str, environment: dict[str, str] | None = None, stdin: str = ""
) -> dict[str, str]:
    """The effective settings according to `presignd config check`; empty if it rejects the configuration."""
    command = [binary, "config", "check", *arguments]
    checked = subprocess.run(
        command, env=environment or {}, input=stdin, capture_output=True, text=True, timeout=30, check=False
    )
    expect(checked.returncode == 0, f"{what}: presignd rejects it: {checked.stderr.strip()}")
    accepted = checked.stdout if checked.returncode == 0 else ""
    return dict(re.findall(r'^(\S+) = "(.*)"  # ', accepted, re.MULTILINE))


def seconds(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)\s*([a-z]+)", text).groups()
    return int(number) * SECONDS[unit]


def main(binary: str) -> None:
    check_sidecar(binary)
    check_unit(binary)
    check_dockerfile()


def check_sidecar(binary: str) -> None:
    documents = {document["kind"]: document for document in yaml.safe_load_all(SIDECAR.read_text())}
    template = documents["Deployment"]["spec"]["template"]
    pod = template["spec"]
    containers = {container["name"]: container for container in pod["initContainers"] + pod["containers"]}
    presignd = containers[CONTAINER]
    others = {name: container for name, container in containers.items() if name != CONTAINER}

    command, *flags = presignd["args"]
    expect(command == "serve", f"{SIDECAR.name}: the first argument is {command}, not serve")
    environment = {entry["name"]: entry["value"] for entry in presignd["env"]}
    settings = effective_settings(binary, flags, SIDECAR.name, environment)
    if not settings:
        return
    check_probes(presignd, settings)
    check_socket(presignd, others, settings)
    check_isolation(template, containers, others)
    expect(
        pod["terminationGracePeriodSeconds"] > seconds(settings["limits.drain_time"]),
        f"{SIDECAR.name}: terminationGracePeriodSeconds is not longer than limits.drain_time",
    )


def check_probes(presignd: dict, settings: dict[str, str]) -> None:
    ports = {port["name"]: port["containerPort"] for port in presignd["ports"]}
    address, _, port = settings["admin.listen"].rpartition(":")
    expect(address in ("0.0.0.0", "[::]"), f"{SIDECAR.name}: the kubelet cannot reach probes at {address}")
    for probe, path in {"startupProbe": "/startupz", "livenessProbe": "/livez", "readinessProbe": "/readyz"}.items():
        get = presignd[probe]["httpGet"]
        expect(get["path"] == path, f"{SIDECAR.name}: {probe} asks {get['path']}, not {path}")
        asked = ports.get(get["port"], get["port"])
        expect(str(asked) == port, f"{SIDECAR.name}: {probe} asks port {asked}, but presignd listens on {port}")


def check_socket(presignd: dict, others: dict[str, dict], settings: dict[str, str]) -> None:
    path = settings.get("listen.unix", "")
    expect(settings["listen.tcp"] == "off", f"{SIDECAR.name}: listen.tcp is on, open to every container of the pod")
    directory = str(Path(path).parent)
    volume = {mount["mountPath"]: mount["name"] for mount in presignd["volumeMounts"]}.get(directory)
    expect(volume, f"{SIDECAR.name}: presignd mounts no volume at {directory}, where its socket is")
    for name, container in others.items():
        for mount in container.get("volumeMounts", []):
            if mount["name"] == volume:
                expect(mount.get("readOnly"), f"{SIDECAR.name}: {name} could replace the socket: mount it read-only")
                expect(mount["mountPath"] == directory, f"{SIDECAR.name}: {name} mounts the socket at another path")
    targets = [
        entry["value"] for other in others.values() for entry in other.get("env", []) if "unix:" in entry["value"]
    ]
    expect(targets == [f"unix://{path}"], f"{SIDECAR.name}: the application dials {targets}, the socket is {path}")


def check_isolation(template: dict, containers: dict[str, dict], others: dict[str, dict]) -> None:
    # The webhook splits at commas and keeps spaces.
    skipped = template["metadata"]["annotations"][SKIP].split(",")
    expect(sorted(skipped) == sorted(others), f"{SIDECAR.name}: {SKIP} names {skipped}, the others are {list(others)}")
    pod = template["spec"]
    expect(pod["automountServiceAccountToken"] is False, f"{SIDECAR.name}: the service account's token is mounted")
    for setting in ("hostNetwork", "shareProcessNamespace"):
        expect(not pod.get(setting), f"{SIDECAR.name}: {setting} undoes the isolation")
    users = [container["securityContext"]["runAsUser"] for container in containers.values()]
    expect(len(set(users)) == len(users) and 0 not in users, f"{SIDECAR.name}: containers share a user or are root")
    expect(pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", f"{SIDECAR.name}: no seccomp profile")
    for name, container in containers.items():
        context = container["securityContext"]
        expect(context["readOnlyRootFilesystem"], f"{SIDECAR.name}: {name} has a writable root file system")
        expect(context["allowPrivilegeEscalation"] is False, f"{SIDECAR.name}: {name} may gain privileges")
        expect(context["capabilities"] == {"drop": ["ALL"]}, f"{SIDECAR.name}: {name} has capabilities")


def check_unit(binary: str) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read_string(UNIT.read_text())
    service = unit["Service"]
    program, command, *flags = shlex.split(service["ExecStart"])
    expect((Path(program).name, command) == ("presignd", "serve"), f"{UNIT.name}: ExecStart= does not serve")
    installed = f"/etc/presignd/{TOML.name}"
    expect(installed in flags, f"{UNIT.name}: ExecStart= does not read {installed}")
    settings = effective_settings(binary, [str(TOML) if flag == installed else flag for flag in flags], TOML.name)
    if not settings:
        return
    check_commented_settings(binary)
    drain = seconds(settings["limits.drain_time"])
    expect(
        seconds(service["TimeoutStopSec"]) > drain, f"{UNIT.name}: TimeoutStopSec= is not longer than the drain time"
    )
    directory = f"/run/{service['RuntimeDirectory']}"
    expect(Path(settings["listen.unix"]).parent == Path(directory), f"{UNIT.name}: the socket is not in {directory}")
    expect(settings["listen.tcp"] == "off", f"{TOML.name}: listen.tcp is on, open to every user of the machine")
    files = int(service["LimitNOFILE"])
    expect(files > int(settings["limits.connections"]), f"{UNIT.name}: LimitNOFILE= is too low for limits.connections")


def check_commented_settings(binary: str) -> None:
    """Checks that the commented-out settings are valid too."""
    text = re.sub(r"(?m)^#(?=\[|\w+ = )", "", TOML.read_text())
    effective_settings(binary, ["--config", "/dev/stdin"], f"{TOML.name}, with its commented-out settings", stdin=text)


def check_dockerfile() -> None:
    wanted = tomllib.loads(MANIFEST.read_text())["package"]["rust-version"]
    actual = re.search(r"^FROM rust:([\d.]+)-", DOCKERFILE.read_text(), re.MULTILINE).group(1)
    expect(actual == wanted, f"{DOCKERFILE.name}: builds with Rust {actual}, but Cargo.toml says {wanted}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: check.py PATH-OF-PRESIGND")
    try:
        main(str(Path(sys.argv[1]).resolve()))
    except OSError as error:
        failures.append(str(error))
    except (KeyError, ValueError, AttributeError) as error:
        failures.append(f"a part that this check needs is missing or malformed: {error!r}")
    for failure in failures:
        print(f"deploy: {failure}", file=sys.stderr)
    sys.exit(1 if failures else 0)
