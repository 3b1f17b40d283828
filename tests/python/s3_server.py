"""Starts one real S3 server that verifies signatures, for tests and for the demo.

    python s3_server.py ministack|seaweedfs --access-key AK --secret-key SK
                        [--bucket NAME]... [--host DOMAIN]... [--further-key AK:SK]...

Prints ONE JSON line on stdout when the server answers and every bucket takes writes, then waits for
the end of its stdin (or SIGTERM, SIGINT), stops the server, deletes its data and exits 0. The parent holds
the pipe, so the server ends with its parent, however that one ends.

    {"server": "ministack", "port": 23456, "endpoint": "http://127.0.0.1:23456", "pid": 4711, "log": "..."}

Everything listens on 127.0.0.1 and nothing is sent elsewhere (SeaweedFS's telemetry is switched off). Data is deleted
at the end; the log goes with it, and its last lines are printed on stderr when the start fails.

Addressing. ONE instance of either server takes all of these at once, the name resolution left to the client (connect
to 127.0.0.1:PORT, keep the Host header of the URL):
    ACCESSPOINT-ACCOUNT.OP-ID.s3-outposts.REGION.amazonaws.com/KEY    the bucket is called ACCESSPOINT-ACCOUNT here
    BUCKET.s3.REGION.amazonaws.com/KEY                                virtual host
    s3.REGION.amazonaws.com/BUCKET/KEY and 127.0.0.1:PORT/BUCKET/KEY  path style
ministack has one MINISTACK_HOST and takes the label before ANY name that ends in it; it is `amazonaws.com` here, so
every Outpost and region works and --host is needed for other domains only. SeaweedFS wants each domain in full: give it
a --host for each Outpost; s3.us-east-1.amazonaws.com is always there.

What each verifies of a presigned URL (SigV4), in every addressing form:
    changed path, query, method, signed header, signature, Host    403 SignatureDoesNotMatch     both
    signed header left out; wrong secret                           403 SignatureDoesNotMatch     both
    unknown access key                                             403 InvalidAccessKeyId        both
    expired                                                        403 AccessDenied              both
    no signature at all                                            403 AccessDenied              both
    X-Amz-Expires above 7 days                400 AuthorizationQueryParametersError              both
    signed an hour in the future                ministack 403 AccessDenied, SeaweedFS takes it
    another region in the scope                 ministack 400 on the s3.REGION hosts, 301 on 127.0.0.1, none on
                                                Outposts hosts; SeaweedFS takes it
    another service in the scope                BOTH TAKE ANY (even `ec2`): assert the scope's text yourself
    x-amz-* header sent but not signed          SeaweedFS 403, ministack takes it; content-type: both take it
    Host with `:80` added                       ministack 403, SeaweedFS takes it
    `a` sent as `%61` where `a` was signed      both take it: they decode the path and encode it anew

ministack checks its root key (--access-key) as above. For the keys of IAM users and for STS credentials it has a second
check, which gets scope `s3-outposts` wrong: it expects the SHA-256 of the body instead of UNSIGNED-PAYLOAD, encodes the
path twice and allows 5 minutes from signing. Such a URL passes only for keys of unreserved characters and `/` (no
`//`, no dot segment), and only when the request also carries `x-amz-content-sha256: UNSIGNED-PAYLOAD` (not signed,
which S3 allows). Scope `s3` is right for every kind of key. The path /_ministack/health is its own on every host.

ministack's STS is on the same port. AssumeRole wants a role that exists, a trust policy that allows it (ExternalId and
RoleSessionName are looked at) and a policy of the caller's. The signature of the call is verified for keys of IAM users
and of sessions; the root key passes with ANY. DurationSeconds may be anything, 1 too. AssumeRoleWithWebIdentity reads
the claims of the token and trusts them. S3 takes a session's URL with its exact token only (400 InvalidToken), and as
long as the session lasts (400 ExpiredToken): to the fraction of a second, where Expiration is cut to whole seconds. A
URL that expired is 403 AccessDenied while its session lasts.

IMDS (/latest/..., IMDSv2 only: see start_ministack) and the credentials of ECS (/v2/credentials/ANYTHING, whatever the
authorization) are on the same port too. Each request is given another key for an hour, which STS and S3 do not know
(403 InvalidAccessKeyId).

SigV4A: SeaweedFS refuses it (400 InvalidRequest). ministack lets ANY SigV4A URL of the root key pass, expired or forged.
For IAM user and STS keys with scope `s3` it verifies for real, but only where the package `cryptography` is installed
(not in requirements.txt); with scope `s3-outposts` it answers 400 InvalidRequest.

Keys, put and read back through a presigned URL, and the name under which ListObjectsV2 then has them:
                                                          ministack   SeaweedFS
    space, leading and trailing space, + % %41 %2F ? # & =   as is       as is
    ' " * ( ) ! ~ : @ , ; [ ] { } < > | ^ ` $ tab newline    as is       as is
    emoji, combining and non-ASCII letters                   as is       as is
    back slash                                               as is       stored as /
    a//b and a///b                                           as is       stored as a/b
    leading / (/a, //a)                                      as is       stored as a
    trailing / (a/)                                          as is       a/, but empty: the body is lost
    a//                                                      as is       stored as a/, empty
    ./a a/./b a/../b ../a . ..                               as is       400 InvalidRequest
    1,024 bytes in segments of 63 and of 255 bytes at most   as is       as is
    a segment of more than 255 bytes (1,024 x k)             as is       400 KeyTooLongError
    1,025 bytes (S3 refuses)                                 as is       400 KeyTooLongError
Where SeaweedFS stores another name the signature is still verified over the path as sent, and PUT, GET and DELETE with
the same odd key agree with each other.
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

START_DEADLINE = 30.0  # seconds; normal is 1 s (ministack) and 3 to 8 s (SeaweedFS)
STOP_DEADLINE = 1.0  # then SIGKILL
ATTEMPTS = 5  # another process may take a port between our look and the server's bind
HOST = "127.0.0.1"
REGION = "us-east-1"


class StartError(Exception):
    """The server did not come up; the text says why."""


@dataclass
class Server:
    """A started server, and the files that it leaves outside its own directory."""

    process: subprocess.Popen
    port: int
    litter: list[Path] = field(default_factory=list)

    def stop(self) -> None:
        """SIGTERM, then SIGKILL: SeaweedFS can take half a minute over its goodbye, and its data is thrown away."""
        self.process.terminate()
        try:
            self.process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for path in self.litter:
            path.unlink(missing_ok=True)


def main() -> int:
    args = parse_args()
    # SIGTERM and SIGINT leave by the same door as the end of stdin.
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
        # A second signal must not cut the cleaning short.
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
                        help="created at start; an Outposts access point is the bucket NAME-ACCOUNT")
    parser.add_argument("--host", action="append", default=[], metavar="DOMAIN",
                        help="a domain whose first label below it is a bucket, such as "
                             "op-01234567890123456.s3-outposts.us-east-1.amazonaws.com")
    parser.add_argument("--further-key", action="append", default=[], metavar="AK:SK", type=further_key,
                        help="an identity of its own with every right (SeaweedFS; ministack has IAM and STS for that)")
    args = parser.parse_args()
    if args.further_key and args.server != "seaweedfs":
        parser.error("--further-key is for seaweedfs")
    return args


def further_key(text: str) -> tuple[str, str]:
    access_key, secret_key = text.split(":", 1)
    return access_key, secret_key


def start(args: argparse.Namespace, directory: Path) -> Server:
    """Starts the server, again on other ports if it ends at once, and waits until its buckets take writes."""
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
    """ministack on a socket that we bind and it inherits, so that no one else can take the port.

    That is why hypercorn is started rather than ministack's own main, which knows no inherited sockets.
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
    # --workers 0: in this one process, not in a child that would outlive a SIGKILL.
    command = [sys.executable, "-m", "hypercorn", "ministack.app:app", "--workers", "0",
               "--bind", f"fd://{listener.fileno()}", "--keep-alive", "75", "--log-level", "INFO"]
    process = spawn(command, environment, data, log, pass_fds=(listener.fileno(),))
    listener.close()
    return Server(process, port)


def shared_suffix(hosts: list[str]) -> str:
    """The one MINISTACK_HOST that covers all hosts: ministack takes the label before ANY name that ends in it."""
    suffix = ["amazonaws", "com"]
    for host in hosts:
        labels = host.lower().strip(".").split(".")
        while suffix and labels[-len(suffix):] != suffix:
            suffix = suffix[1:]
    if not suffix:
        raise SystemExit("s3_server: ministack knows one host suffix, and these hosts share none with amazonaws.com")
    return ".".join(suffix)


def start_seaweedfs(args: argparse.Namespace, data: Path, log: Path) -> Server:
    """`weed server` with master, volume server, filer and S3 gateway in one process, each on a port of its own."""
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
               # Each bucket is a collection with volumes of its own: the default of 8 is soon used up.
               "-volume.max=200", "-master.volumeSizeLimitMB=64", "-volume.preStopSeconds=0",
               *(f"-{name}={port}" for name, port in ports.items())]
    process = spawn(command, bare_environment() | {"HOME": str(data)}, data, log)
    # Sockets whose place is fixed in weed, and which a SIGKILL leaves there.
    sockets = [Path(f"/tmp/seaweedfs-{part}-grpc-{ports[f'{part}.port.grpc']}.sock")
               for part in ("master", "volume", "filer", "s3")]
    return Server(process, ports["s3.port"], sockets)


SERVERS = {"ministack": start_ministack, "seaweedfs": start_seaweedfs}


def bare_environment() -> dict[str, str]:
    """PATH and locale only: an AWS_* or proxy variable of the caller must not change what the server does."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ}


def spawn(command: list[str], environment: dict[str, str], directory: Path, log: Path, **more) -> subprocess.Popen:
    with log.open("ab") as output:
        return subprocess.Popen(command, env=environment, cwd=directory, stdin=subprocess.DEVNULL, stdout=output,
                                stderr=output, start_new_session=True, preexec_fn=die_with_parent, **more)


def die_with_parent() -> None:
    """Linux: have the kernel kill the server if this process dies without a chance to (SIGKILL, OOM)."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def free_ports(count: int) -> list[int]:
    """Ports below the ephemeral range, where neither outgoing connections nor binds to port 0 compete."""
    held: list[socket.socket] = []
    try:
        while len(held) < count:
            candidate = socket.socket()
            held.append(candidate)
            try:
                candidate.bind((HOST, random.randint(10_000, 32_000)))
            except OSError:
                held.pop().close()
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()


def prepare(args: argparse.Namespace, server: Server) -> None:
    """Creates the buckets and writes to each once: a server may answer long before it can store anything."""
    process, port, deadline = server.process, server.port, time.monotonic() + START_DEADLINE
    poll("the port to open", process, deadline, lambda: socket.create_connection((HOST, port), 1).close())
    for bucket in args.bucket:
        poll(f"bucket {bucket}", process, deadline, lambda: call(args, port, "PUT", bucket))
        probe = f"{bucket}/presignd-readiness-probe"
        poll(f"a write to {bucket}", process, deadline, lambda: call(args, port, "PUT", probe, b"ready"))
        poll(f"a delete in {bucket}", process, deadline, lambda: call(args, port, "DELETE", probe))
    if not args.bucket:
        poll("an answer", process, deadline, lambda: call(args, port, "GET", ""))


def poll(what: str, process: subprocess.Popen, deadline: float, attempt) -> None:
    """Calls until it raises nothing; ends early when the server has ended."""
    while True:
        try:
            attempt()
            return
        except OSError as error:
            if process.poll() is not None:
                raise StartError(f"it ended with code {process.returncode} before {what}") from None
            # 400 is for good (a bucket name that is none); a starting server answers 403, 404 and 5xx.
            if time.monotonic() > deadline or getattr(error, "code", None) == 400:
                body = error.read(500).decode(errors="replace") if hasattr(error, "read") else ""
                raise StartError(f"no success for {what}: {error} {body}") from None
            time.sleep(0.05)


def call(args: argparse.Namespace, port: int, method: str, path: str, body: bytes = b"") -> None:
    """One path-style request, presigned by botocore (imported late: it takes most of this file's start time)."""
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
