"""The measured processes: they are pinned to CPUs and ended by their process ID."""
import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .plan import ACCESS_KEY, REGION, SECRET_KEY, SESSION_TOKEN, Json, Tools

START_DEADLINE = 15.0  # seconds
STOP_DEADLINE = 15.0
RUN_DEADLINE = 300.0
POLL = 0.0002
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class BenchFailure(Exception):
    """A measurement failed; the text is a sentence for the user."""


@dataclass(frozen=True)
class Cpus:
    """The server and its clients have separate CPUs, so that they do not compete."""

    server: frozenset[int]
    client: frozenset[int]
    both: frozenset[int]

    @staticmethod
    def of_this_machine() -> "Cpus":
        available = sorted(os.sched_getaffinity(0))
        if len(available) < 2:
            raise BenchFailure("two CPUs are needed: one for the server, one for its clients")
        server, client = frozenset(available[:1]), frozenset(available[1:2])
        return Cpus(server, client, server | client)


@dataclass(frozen=True)
class Server:
    """A server that listens, with its addresses."""

    target: str
    pid: int
    tcp: str
    unix: str
    admin: str


def clean_environment() -> dict[str, str]:
    """The environment without variables that change the results."""
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(("AWS_", "PRESIGND_", "RUST_", "TOKIO_"))}
    return kept | {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull,
                   "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


def credentials(token: bool) -> dict[str, str]:
    """The example credentials of AWS, with or without a session token."""
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": REGION}
    return keys | ({"AWS_SESSION_TOKEN": SESSION_TOKEN} if token else {})


def serve_command(tools: Tools, folder: Path, admin: str = "127.0.0.1:0") -> list[str]:
    """The command line of presignd with a socket in this directory, and on free ports."""
    return [str(tools.presignd), "serve", "--open", "--listen-tcp", "127.0.0.1:0", "--listen-unix",
            str(folder / "presignd.sock"), "--admin-listen", admin, "--limits-batch-items", "1000"]


@contextlib.contextmanager
def presignd(tools: Tools, token: bool, cpus: frozenset[int]) -> Iterator[Server]:
    """A running presignd with static credentials."""
    with tempfile.TemporaryDirectory(prefix="presignd-bench-") as folder:
        environment = clean_environment() | credentials(token)
        with _running("presignd", serve_command(tools, Path(folder)), environment, cpus) as server:
            # presignd listens before it has credentials.
            wait_until_ready(server.admin)
            yield server


def wait_until_ready(admin: str) -> None:
    """Waits until /readyz returns 200."""
    began = time.monotonic()
    while not _ready(admin):
        if time.monotonic() - began > START_DEADLINE:
            raise BenchFailure("presignd was not ready in time")
        time.sleep(POLL)


def _ready(admin: str) -> bool:
    with contextlib.closing(http.client.HTTPConnection(admin, timeout=2)) as connection:
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False


@contextlib.contextmanager
def bare_server(tools: Tools, cpus: frozenset[int]) -> Iterator[Server]:
    """A running bare gRPC server."""
    with tempfile.TemporaryDirectory(prefix="presignd-bench-") as folder:
        command = [str(tools.bench), "echo", "--unix", f"{folder}/echo.sock"]
        with _running("bare", command, clean_environment(), cpus) as server:
            yield server


@contextlib.contextmanager
def _running(target: str, command: list[str], environment: dict[str, str], cpus: frozenset[int]) -> Iterator[Server]:
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               errors="replace", preexec_fn=pin_to(cpus))
    try:
        log = _Log(process)
        line = log.listening()
        matches = {name: re.search(rf'\b{name}="?([^\s"]+)', line) for name in ("tcp", "unix", "admin")}
        addresses = {name: match[1] for name, match in matches.items() if match}
        yield Server(target, process.pid, addresses["tcp"], addresses["unix"], addresses.get("admin", ""))
    finally:
        end(process)


class _Log:
    """Reads the whole log of a server, so that the pipe never fills."""

    def __init__(self, process: "subprocess.Popen[str]"):
        self._process = process
        self._lines: list[str] = []
        self._listening = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._lines.append(COLOURS.sub("", line))
            if "listening " in self._lines[-1]:
                self._listening.set()
        self._listening.set()

    def listening(self) -> str:
        self._listening.wait(START_DEADLINE)
        for line in self._lines:
            if "listening " in line:
                return line
        raise BenchFailure(f"a server did not listen; its log: {''.join(self._lines)}")


def pin_to(cpus: frozenset[int], idle: bool = False) -> Callable[[], None]:
    """A `preexec_fn` that pins the child to CPUs, and puts it under SCHED_IDLE if `idle` is set."""
    def pin() -> None:
        os.sched_setaffinity(0, cpus)
        if idle:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    return pin


def end(process: "subprocess.Popen[str]") -> None:
    """Ends a child process: SIGTERM, then SIGKILL."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run_json(command: Sequence[str], cpus: frozenset[int], environment: dict[str, str] | None = None) -> Json:
    """Runs a command and returns the JSON document that it prints."""
    process = start_json(command, cpus, environment)
    return finish_json(process)


def start_json(command: Sequence[str], cpus: frozenset[int], environment: dict[str, str] | None = None,
               idle: bool = False) -> "subprocess.Popen[str]":
    """Starts a command that prints a JSON document at its end."""
    return subprocess.Popen(list(command), env=environment or clean_environment(), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, text=True, preexec_fn=pin_to(cpus, idle))


def finish_json(process: "subprocess.Popen[str]") -> Json:
    """Waits for the document and returns it."""
    try:
        output, _ = process.communicate(timeout=RUN_DEADLINE)
    finally:
        end(process)
    if process.returncode != 0:
        raise BenchFailure(f"{process.args!r} ended with exit code {process.returncode} (its error output is above)")
    document: Json = json.loads(output)
    return document


def say(text: str) -> None:
    """Prints one line of progress on stderr."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)
