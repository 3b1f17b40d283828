"""The machine and the versions of a run."""
import datetime
import os
import platform
import subprocess
import tomllib
from pathlib import Path

from .plan import BENCHES, REPOSITORY, Json

RIVALS = ("aws-sdk-s3", "aws-sigv4", "rusty-s3", "object_store", "tonic", "sha2", "hmac")


def describe() -> Json:
    """The machine, the tools and the rivals."""
    return {"cpu": _cpu(), "cores": os.cpu_count(), "kernel": platform.release(),
            "rustc": _output("rustc", "--version"),
            "commit": _output("git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"),
            "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"), "crates": _crates()}


def _cpu() -> Json:
    fields = [line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line]
    values = {name.strip(): value.strip() for name, value in fields}
    flags = set(values.get("flags", values.get("Features", "")).split())
    model = values.get("model name", platform.machine())
    return {"model": model, "sha_extensions": bool({"sha_ni", "sha2"} & flags)}


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _crates() -> dict[str, str]:
    with (BENCHES / "Cargo.lock").open("rb") as file:
        packages = tomllib.load(file)["package"]
    # If a crate has two versions, this takes the newer one: that of Cargo.toml.
    return {package["name"]: package["version"] for package in packages if package["name"] in RIVALS}
