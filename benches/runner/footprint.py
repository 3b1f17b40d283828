"""Memory, start time and binary size."""
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from .load import Rival, Work, load
from .plan import Json, Plan, Tools
from .processes import (
    BenchFailure,
    Cpus,
    clean_environment,
    credentials,
    end,
    presignd,
    say,
    serve_command,
    wait_until_ready,
)

FULL_LOAD_CONNECTIONS = 64


def memory(tools: Tools, cpus: Cpus, plan: Plan) -> Json:
    """Measures memory: idle, under a full load of batches with a long token, and after that load."""
    say("memory")
    with presignd(tools, True, cpus.both) as server:
        time.sleep(0.5)
        idle = _status(server.pid, "VmRSS")
        work = Work("batch", connections=FULL_LOAD_CONNECTIONS, seconds=plan.full_load)
        report = load(tools, cpus, Rival("presignd", server), work)["measured"]
        after = _status(server.pid, "VmRSS")
        time.sleep(1)
        return {"idle_kib": idle, "peak_kib": _status(server.pid, "VmHWM"), "after_kib": after,
                "later_kib": _status(server.pid, "VmRSS"), "connections": FULL_LOAD_CONNECTIONS,
                "urls_per_second": report["urls_per_second"]}


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise BenchFailure(f"process {pid} has no {name}")


def start(tools: Tools, plan: Plan) -> Json:
    """Measures the time from the start of the process to 200 from /readyz."""
    say("start")
    return {"milliseconds": [_start_once(tools) * 1e3 for _ in range(plan.starts)],
            "binary_bytes": tools.presignd.stat().st_size}


def _start_once(tools: Tools) -> float:
    admin = f"127.0.0.1:{_free_port()}"
    with tempfile.TemporaryDirectory(prefix="presignd-bench-") as folder:
        command = serve_command(tools, Path(folder), admin)
        environment = clean_environment() | credentials(False)
        began = time.perf_counter()
        # With close_fds=False Python starts it with vfork, which costs almost nothing.
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   text=True, close_fds=False)
        try:
            wait_until_ready(admin)
            return time.perf_counter() - began
        finally:
            end(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
