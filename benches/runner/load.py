"""Runs of the load generator."""
import subprocess
from dataclasses import dataclass

from .plan import Json, Tools
from .processes import Cpus, Server, finish_json, run_json, start_json

CONNECTIONS = 4
"""Enough to keep a server busy while responses are in flight."""


@dataclass(frozen=True)
class Rival:
    """A server, and the target as which it is called."""

    target: str
    server: Server


@dataclass(frozen=True)
class Work:
    """The calls to make."""

    mode: str
    transport: str = "unix"
    items: int = 1000
    connections: int = CONNECTIONS
    seconds: float = 0.5
    count: int | None = None
    answer_bytes: int = 0


def command(tools: Tools, rival: Rival, work: Work) -> list[str]:
    """The load generator's command line."""
    server = rival.server
    address = ["--unix", server.unix] if work.transport == "unix" else ["--tcp", server.tcp]
    count = ["--count", str(work.count)] if work.count else []
    return [str(tools.bench), "load", "--target", rival.target, "--mode", work.mode, *address, "--items",
            str(work.items), "--connections", str(work.connections), "--seconds", str(work.seconds),
            "--answer-bytes", str(work.answer_bytes), "--server-pid", str(server.pid), *count]


def load(tools: Tools, cpus: Cpus, rival: Rival, work: Work) -> Json:
    """Runs a load and waits for its report."""
    return run_json(command(tools, rival, work), cpus.client)


def start_idle(tools: Tools, cpus: Cpus, rival: Rival, work: Work) -> "subprocess.Popen[str]":
    """Starts a load that runs under SCHED_IDLE: every other client has priority."""
    return start_json(command(tools, rival, work), cpus.client, idle=True)


def finish(process: "subprocess.Popen[str]") -> Json:
    """Waits for a started load, and returns its report."""
    return finish_json(process)


def answer_sizes(tools: Tools, cpus: Cpus, rival: Rival, work: Work) -> dict[str, int]:
    """The sizes of presignd's responses, which the bare server has to match, for each of its targets."""
    probe = Work(mode=work.mode, transport=work.transport, items=work.items, connections=1, seconds=0.05)
    report = load(tools, cpus, rival, probe)
    return {"presignd": 0, "echo": report["answer_item_bytes"], "bare": report["url_bytes"]}
