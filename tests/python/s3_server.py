"""Starts one S3 server that verifies signatures, for the tests and the demo.

    python s3_server.py ministack|seaweedfs --access-key AK --secret-key SK
                        [--bucket NAME]... [--host DOMAIN]... [--further-key AK:SK]...

Prints ONE JSON line on stdout when the server responds and every bucket accepts writes. Then it waits until its stdin
is closed (or for SIGTERM or SIGINT), stops the server, deletes its data and exits with 0. stdin is a pipe from the
parent process, so the server always ends with its parent.

    {"server": "ministack", "port": 23456, "endpoint": "http://127.0.0.1:23456", "pid": 4711, "log": "..."}

Both servers listen on 127.0.0.1 only and send nothing elsewhere (the telemetry of SeaweedFS is off). Data and log are
deleted at the end; if the start fails, the last lines of the log are printed on stderr.

Addressing. ONE instance of either server accepts all of these forms. The client must not resolve the host, but connect
to 127.0.0.1:PORT and send the Host header of the URL:
    ACCESSPOINT-ACCOUNT.OP-ID.s3-outposts.REGION.amazonaws.com/KEY    here the bucket is ACCESSPOINT-ACCOUNT
    BUCKET.s3.REGION.amazonaws.com/KEY                                virtual host
    s3.REGION.amazonaws.com/BUCKET/KEY and 127.0.0.1:PORT/BUCKET/KEY  path style
ministack has one MINISTACK_HOST, and takes the label before ANY name that ends in it as the bucket. Here it is
`amazonaws.com`, so every Outpost and region works, and --host is needed only for other domains. SeaweedFS needs each
full domain: a --host for each Outpost; s3.us-east-1.amazonaws.com is always included.

What the servers verify in a presigned URL (SigV4), with all addressing forms:
    changed path, query, method, signed header, signature, Host    403 SignatureDoesNotMatch     both
    signed header missing; wrong secret                            403 SignatureDoesNotMatch     both
    unknown access key                                             403 InvalidAccessKeyId        both
    expired                                                        403 AccessDenied              both
    no signature at all                                            403 AccessDenied              both
    X-Amz-Expires above 7 days                400 AuthorizationQueryParametersError              both
    signed an hour in the future                ministack 403 AccessDenied, SeaweedFS accepts it
    another region in the scope                 ministack 400 on the s3.REGION hosts, 301 on 127.0.0.1, not
                                                checked on Outposts hosts; SeaweedFS accepts it
    another service in the scope                BOTH ACCEPT ANY (even `ec2`): a test must check the scope itself
    x-amz-* header sent but not signed          SeaweedFS 403, ministack accepts it; content-type: both accept it
    Host with `:80` added                       ministack 403, SeaweedFS accepts it
    `a` sent as `%61` where `a` was signed      both accept it: they decode the path and encode it again

ministack checks its root key (--access-key) as above. For the keys of IAM users and for STS credentials it has a second
check, which is wrong for scope `s3-outposts`: it expects the SHA-256 of the body instead of UNSIGNED-PAYLOAD, encodes
the path twice and allows only 5 minutes from signing. Such a URL is accepted only for keys of unreserved characters and
`/` (no `//`, no dot segment), and only if the request has the unsigned header `x-amz-content-sha256: UNSIGNED-PAYLOAD`,
which S3 allows. Scope `s3` is correct for every kind of access key. The path /_ministack/health is reserved on every
host.

ministack's STS is on the same port. AssumeRole requires an existing role, a trust policy that allows the call (it
checks ExternalId and RoleSessionName) and a policy of the caller that allows it. The signature of the call is verified
for keys of IAM users and sessions; with the root key ANY signature is accepted. DurationSeconds can be any number, even
1. AssumeRoleWithWebIdentity trusts the claims of the token. S3 accepts a URL of a session only with the exact session
token (400 InvalidToken otherwise) and until the session expires (400 ExpiredToken); that is exact to the fraction of a
second, while Expiration is rounded down to whole seconds. An expired URL gets 403 AccessDenied while its session is
valid.

IMDS (/latest/..., IMDSv2 only: see start_ministack) and the credentials of ECS (/v2/credentials/ANYTHING, with any
authorization) are on the same port too. Each request gets a different key that is valid for an hour, but unknown to STS
and S3 (403 InvalidAccessKeyId).

SigV4A: SeaweedFS rejects it (400 InvalidRequest). ministack accepts ANY SigV4A URL of the root key, even expired or
forged ones. For IAM user and STS keys with scope `s3` it verifies the signature, but only if the package `cryptography`
is installed (not in requirements.txt); with scope `s3-outposts` it returns 400 InvalidRequest.

Keys after an upload through a presigned URL, as ListObjectsV2 returns them:
                                                          ministack   SeaweedFS
    space, leading and trailing space, + % %41 %2F ? # & =   as is       as is
    ' " * ( ) ! ~ : @ , ; [ ] { } < > | ^ ` $ tab newline    as is       as is
    emoji, combining and non-ASCII letters                   as is       as is
    backslash                                                as is       stored as /
    a//b and a///b                                           as is       stored as a/b
    leading / (/a, //a)                                      as is       stored as a
    trailing / (a/)                                          as is       a/, but empty: the body is lost
    a//                                                      as is       stored as a/, empty
    ./a a/./b a/../b ../a . ..                               as is       400 InvalidRequest
    1,024 bytes in segments of 63 and of 255 bytes at most   as is       as is
    a segment of more than 255 bytes (1,024 x k)             as is       400 KeyTooLongError
    1,025 bytes (S3 rejects)                                 as is       400 KeyTooLongError
If SeaweedFS stores another key, it still verifies the signature over the path as sent, and PUT, GET and DELETE with the
same key are consistent.
"""
import argparse
import ctypes
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

START_DEADLINE = 30.0  # seconds; usually 1 s (ministack) and 3 to 8 s (SeaweedFS)
STOP_DEADLINE = 1.0  # seconds until SIGKILL
ATTEMPTS = 5  # another process can bind a port between free_ports() and the bind of the server
HOST = "127.0.0.1"
REGION = "us-east-1"


class StartError(Exception):
    """The server did not start; the text says why."""


@dataclass
class Server:
    """A started server, and the files that it leaves outside its data directory."""

    process: subprocess.Popen
    port: int
    leftovers: list[Path] = field(default_factory=list)

    def stop(self) -> None:
        """SIGTERM, then SIGKILL: SeaweedFS can take half a minute to stop, and its data is deleted anyway."""
        self.process.terminate()
        try:
            self.process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for path in self.leftovers:
            path.unlink(missing_ok=True)


def main() -> int:
    args = parse_args()
    # SIGTERM and SIGINT clean up like the end of stdin.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    directory = Path(tempfile.mkdtemp(prefix=f"presignd-{args.server}-"))
    server = None
    try:
        server = start(args, directory)
        print(json.dumps({"server": args.server, "port": server.port, "endpoint": f"http://{HOST}:{server.port}",
                          "pid": server.process.pid, "log": str(directory / "server.log")}), flush=True)
        while sys.stdin.buffer.read(4096):
            pass
        return 0
    except StartError as error:
        print(f"s3_server: {error}", file=sys.stderr)
        return 1
    finally:
        # A second signal must not interrupt the cleanup.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        if server:
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", choices=sorted(SERVERS))
    parser.add_argument("--access-key", required=True)
    parser.add_argument("--secret-key", required=True)
    parser.add_argument("--bucket", action="append", default=[], metavar="NAME",
                        help="bucket to create at the start; for an Outposts access point NAME-ACCOUNT")
    parser.add_argument("--host", action="append", default=[], metavar="DOMAIN",
                        help="a domain below which the first label is a bucket, such as "
                             "op-01234567890123456.s3-outposts.us-east-1.amazonaws.com")
    parser.add_argument("--further-key", action="append", default=[], metavar="AK:SK", type=further_key,
                        help="a separate identity with all rights (only SeaweedFS; ministack has IAM and STS)")
    args = parser.parse_args()
    if args.further_key and args.server != "seaweedfs":
        parser.error("--further-key works only with seaweedfs")
    return args


def further_key(text: str) -> tuple[str, str]:
    access_key, secret_key = text.split(":", 1)
    return access_key, secret_key


def start(args: argparse.Namespace, directory: Path) -> Server:
    """Starts the server and waits until its buckets accept writes; if it exits early, retries on other ports."""
    log = directory / "server.log"
    for attempt in range(1, ATTEMPTS + 1):
        server = SERVERS[args.server](args, directory / f"data{attempt}", log)
        try:
            prepare(args, server)
            return server
        except StartError as error:
            ended = server.process.poll() is not None
            server.stop()
            if not ended or attempt == ATTEMPTS:
                raise StartError(f"{args.server} did not start: {error}\n{tail(log)}") from None
        except BaseException:
            server.stop()
            raise
    raise AssertionError("unreachable")


def start_ministack(args: argparse.Namespace, data: Path, log: Path) -> Server:
    """Starts ministack with an inherited socket that is already bound, so that no other process can bind the port.

    It starts hypercorn instead of the main program of ministack, which does not support inherited sockets.
    """
    data.mkdir()
    listener = socket.socket()
    listener.bind((HOST, 0))
    port = listener.getsockname()[1]
    environment = bare_environment() | {
        "AUTH": "true", "BIND_HOST": HOST, "GATEWAY_PORT": str(port), "EDGE_PORT": str(port),
        "AWS_ACCESS_KEY_ID": args.access_key, "AWS_SECRET_ACCESS_KEY": args.secret_key,
        "MINISTACK_HOST": shared_suffix(args.host), "MINISTACK_REGION": REGION,
        "MINISTACK_IMDS_V2_REQUIRED": "1", "IOT_MTLS_ENABLED": "0",
        "TMPDIR": str(data), "STATE_DIR": str(data / "state"),
        "S3_DATA_DIR": str(data / "s3"), "DOCKER_HOST": f"unix://{data}/no-docker.sock",
    }
    # --workers 0: serve in this process, not in a child process that would survive a SIGKILL.
    command = [sys.executable, "-m", "hypercorn", "ministack.app:app", "--workers", "0",
               "--bind", f"fd://{listener.fileno()}", "--keep-alive", "75", "--log-level", "INFO"]
    process = spawn(command, environment, data, log, pass_fds=(listener.fileno(),))
    listener.close()
    return Server(process, port)


def shared_suffix(hosts: list[str]) -> str:
    """The value of MINISTACK_HOST: the longest suffix that all hosts and amazonaws.com have in common."""
    suffix = ["amazonaws", "com"]
    for host in hosts:
        labels = host.lower().strip(".").split(".")
        while suffix and labels[-len(suffix):] != suffix:
            suffix = suffix[1:]
    if not suffix:
        raise SystemExit("s3_server: ministack supports one host suffix, but these hosts share none with amazonaws.com")
    return ".".join(suffix)


def start_seaweedfs(args: argparse.Namespace, data: Path, log: Path) -> Server:
    """Starts `weed server` with master, volume server, filer and S3 gateway in one process, each on its own port."""
    data.mkdir()
    config = data / "s3.json"
    keys = [(args.access_key, args.secret_key), *args.further_key]
    config.write_text(json.dumps({"identities": [{
        "name": access_key, "actions": ["Admin"],
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}]} for access_key, secret_key in keys]}))
    names = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
             "filer.port", "filer.port.grpc", "s3.port", "s3.port.grpc"]
    ports = dict(zip(names, free_ports(len(names))))
    domains = [f"s3.{REGION}.amazonaws.com", *args.host]
    command = [str(Path(sysconfig.get_path("scripts")) / "weed"), "-logtostderr=true", "server",
               f"-dir={data}", f"-ip={HOST}", f"-ip.bind={HOST}", f"-s3.ip.bind={HOST}",
               "-master.telemetry=false", "-master.telemetry.url=",
               "-filer=true", "-s3=true", f"-s3.config={config}", f"-s3.domainName={','.join(domains)}",
               "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false",
               f"-filer.localSocket={data}/filer.sock", f"-s3.localSocket={data}/s3.sock",
               # Each bucket is a collection with separate volumes: the default of 8 volumes is not enough.
               "-volume.max=200", "-master.volumeSizeLimitMB=64", "-volume.preStopSeconds=0",
               *(f"-{name}={port}" for name, port in ports.items())]
    process = spawn(command, bare_environment() | {"HOME": str(data)}, data, log)
    # The paths of these sockets are fixed in weed, and remain after a SIGKILL.
    sockets = [Path(f"/tmp/seaweedfs-{part}-grpc-{ports[f'{part}.port.grpc']}.sock")
               for part in ("master", "volume", "filer", "s3")]
    return Server(process, ports["s3.port"], sockets)


SERVERS = {"ministack": start_ministack, "seaweedfs": start_seaweedfs}


def bare_environment() -> dict[str, str]:
    """PATH and locale only, so that AWS_* and proxy variables of the caller do not affect the server."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ}


def spawn(command: list[str], environment: dict[str, str], directory: Path, log: Path, **more) -> subprocess.Popen:
    with log.open("ab") as output:
        return subprocess.Popen(command, env=environment, cwd=directory, stdin=subprocess.DEVNULL, stdout=output,
                                stderr=output, start_new_session=True, preexec_fn=die_with_parent, **more)


def die_with_parent() -> None:
    """Linux: the kernel kills the server if this process dies without a cleanup (SIGKILL, OOM)."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def free_ports(count: int) -> list[int]:
    """Free ports below the ephemeral range, which outgoing connections and binds to port 0 do not use."""
    sockets: list[socket.socket] = []
    try:
        while len(sockets) < count:
            candidate = socket.socket()
            sockets.append(candidate)
            try:
                candidate.bind((HOST, random.randint(10_000, 32_000)))
            except OSError:
                sockets.pop().close()
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def prepare(args: argparse.Namespace, server: Server) -> None:
    """Creates the buckets and writes to each once, because a server can respond long before it can store objects."""
    process, port, deadline = server.process, server.port, time.monotonic() + START_DEADLINE
    poll("the port to open", process, deadline, lambda: socket.create_connection((HOST, port), 1).close())
    for bucket in args.bucket:
        poll(f"bucket {bucket}", process, deadline, lambda: call(args, port, "PUT", bucket))
        probe = f"{bucket}/presignd-readiness-probe"
        poll(f"a write to {bucket}", process, deadline, lambda: call(args, port, "PUT", probe, b"ready"))
        poll(f"a delete in {bucket}", process, deadline, lambda: call(args, port, "DELETE", probe))
    if not args.bucket:
        poll("a response", process, deadline, lambda: call(args, port, "GET", ""))


def poll(what: str, process: subprocess.Popen, deadline: float, attempt) -> None:
    """Calls `attempt` until it succeeds; fails early if the server has exited."""
    while True:
        try:
            attempt()
            return
        except OSError as error:
            if process.poll() is not None:
                raise StartError(f"it exited with code {process.returncode} before {what}") from None
            # 400 is permanent (such as an invalid bucket name); a starting server returns 403, 404 and 5xx.
            if time.monotonic() > deadline or getattr(error, "code", None) == 400:
                body = error.read(500).decode(errors="replace") if hasattr(error, "read") else ""
                raise StartError(f"no success for {what}: {error} {body}") from None
            time.sleep(0.05)


def call(args: argparse.Namespace, port: int, method: str, path: str, body: bytes = b"") -> None:
    """Sends one path-style request, presigned by botocore (imported late, because the import is slow)."""
    from botocore.auth import S3SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    request = AWSRequest(method, f"http://{HOST}:{port}/{path}")
    S3SigV4QueryAuth(Credentials(args.access_key, args.secret_key), "s3", REGION, expires=60).add_auth(request)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    sent = urllib.request.Request(request.url, data=body if method == "PUT" else None, method=method)
    direct.open(sent, timeout=10).close()


def tail(log: Path, lines: int = 30) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


if __name__ == "__main__":
    sys.exit(main())
