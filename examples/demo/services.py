"""What the demo needs: gRPC stubs, an S3 server, temporary credentials and a running presignd.

Each is a context manager or a plain function, and each failure is a DemoFailure with a sentence for the user.
"""
import contextlib
import importlib
import json
import os
import re
import secrets
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

REPOSITORY = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
LISTEN_DEADLINE = 10.0  # seconds
STOP_DEADLINE = 15.0


class DemoFailure(Exception):
    """A step failed; the text is one plain sentence."""


def generate_stubs(directory: Path):
    """Python stubs of proto/presign/v1 in `directory`, imported.

    Only presign.proto is compiled: the Python module of google/rpc/status.proto is in googleapis-common-protos.
    """
    import grpc_tools
    from grpc_tools import protoc

    bundled = Path(grpc_tools.__file__).parent / "_proto"
    code = protoc.main(["protoc", f"-I{REPOSITORY / 'proto'}", f"-I{bundled}", f"--python_out={directory}",
                        f"--grpc_python_out={directory}", "presign/v1/presign.proto"])
    if code != 0:
        raise DemoFailure(f"protoc ended with code {code}")
    sys.path.insert(0, str(directory))
    return (importlib.import_module("presign.v1.presign_pb2"), importlib.import_module("presign.v1.presign_pb2_grpc"))


@contextlib.contextmanager
def s3_server(buckets: list[str]):
    """ministack, through tests/python/s3_server.py; yields its port and its throw-away root key."""
    root = SimpleNamespace(access_key="AKIA" + secrets.token_hex(8).upper(), secret_key=secrets.token_urlsafe(30))
    command = [sys.executable, str(REPOSITORY / "tests/python/s3_server.py"), "ministack",
               "--access-key", root.access_key, "--secret-key", root.secret_key]
    command += [part for bucket in buckets for part in ("--bucket", bucket)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        line = process.stdout.readline()  # ends with the process, which has its own deadline
        if not line:
            raise DemoFailure("the S3 server did not start (its last log lines are above)")
        yield json.loads(line)["port"], root
    finally:
        process.stdin.close()
        process.wait(STOP_DEADLINE)


def assume_role(port: int, root, seconds: int) -> dict:
    """Temporary credentials from ministack's STS: a role that may use S3, assumed for `seconds`."""
    import botocore.session

    session = botocore.session.Session()

    def client(service: str):
        return session.create_client(service, region_name=REGION, endpoint_url=f"http://127.0.0.1:{port}",
                                     aws_access_key_id=root.access_key, aws_secret_access_key=root.secret_key)

    def policy(**statement) -> str:
        return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})

    role = client("iam").create_role(
        RoleName="demo", AssumeRolePolicyDocument=policy(Principal={"AWS": "*"}, Action="sts:AssumeRole"))["Role"]
    client("iam").put_role_policy(RoleName="demo", PolicyName="s3",
                                  PolicyDocument=policy(Action="s3:*", Resource="*"))
    return client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="demo",
                                     DurationSeconds=seconds)["Credentials"]


def presignd_environment(directory: Path, credentials: dict) -> dict[str, str]:
    """An environment in which a profile with `credential_process` is the only source of credentials."""
    answer = directory / "credentials.json"
    answer.touch(mode=0o600)
    answer.write_text(json.dumps({
        "Version": 1, "AccessKeyId": credentials["AccessKeyId"], "SecretAccessKey": credentials["SecretAccessKey"],
        "SessionToken": credentials["SessionToken"], "Expiration": credentials["Expiration"].isoformat()}))
    config, empty = directory / "aws-config", directory / "no-shared-credentials"
    config.write_text(f"[default]\ncredential_process = cat {shlex.quote(str(answer))}\n")
    empty.touch()
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(("AWS_", "PRESIGND_", "RUST_"))}
    return kept | {"AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": str(empty),
                   "AWS_EC2_METADATA_DISABLED": "true"}


class Presignd:
    """A running `presignd serve`, its addresses read from its log."""

    def __init__(self, binary: Path, directory: Path, environment: dict[str, str]):
        self.log = directory / "presignd.log"
        command = [str(binary), "serve", "--open", "--listen-tcp", "127.0.0.1:0",
                   "--listen-unix", str(directory / "presignd.sock"), "--admin-listen", "127.0.0.1:0",
                   "--signers-default-region", REGION]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output)

    def addresses(self) -> SimpleNamespace:
        """Waits for the log line `listening ... tcp=HOST:PORT unix=PATH admin=HOST:PORT`."""
        deadline = time.monotonic() + LISTEN_DEADLINE
        while time.monotonic() < deadline:
            for line in self.text().splitlines():
                fields = {name: re.search(rf'\b{name}="?([^\s"]+)', line) for name in ("tcp", "unix", "admin")}
                if "listening" in line and all(fields.values()):
                    return SimpleNamespace(**{name: match[1] for name, match in fields.items()})
            if self.process.poll() is not None:
                raise DemoFailure(f"presignd ended with code {self.process.returncode} before it listened")
            time.sleep(0.02)
        raise DemoFailure(f"presignd logged no `listening` line with tcp, unix and admin in {LISTEN_DEADLINE:.0f} s")

    def text(self) -> str:
        """The log so far, without terminal colours."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.log.read_text(errors="replace"))

    def stop(self) -> int:
        """Sends SIGTERM and returns the exit code; if it does not end, sends SIGKILL and fails."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise DemoFailure(f"presignd was still running {STOP_DEADLINE:.0f} s after SIGTERM") from None

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def running_presignd(binary: Path, directory: Path, environment: dict[str, str]):
    """Runs presignd during a block; after a failure prints its last log lines on stderr."""
    try:
        presignd = Presignd(binary, directory, environment)
    except OSError as error:
        raise DemoFailure(f"cannot run {binary}: {error.strerror}") from None
    try:
        yield presignd
    except BaseException:
        presignd.kill()
        print("The last lines of presignd's log:", *presignd.text().splitlines()[-15:], sep="\n    ", file=sys.stderr)
        raise
    finally:
        presignd.kill()
