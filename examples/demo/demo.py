"""A tour of presignd with an S3 server that verifies signatures, all on this machine: `make demo`.

    .tools/venv/bin/python examples/demo/demo.py --presignd target/release/presignd

Every tick is a check; the first that fails ends the demo with exit code 1. It needs the packages of
tests/python/requirements.txt and no AWS account.
"""
import argparse
import contextlib
import http.client
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

import grpc
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2, health_pb2_grpc

import url_user
from services import DemoFailure, assume_role, generate_stubs, presignd_environment, running_presignd, s3_server

OUTPOSTS_ARN = "arn:aws:s3-outposts:us-east-1:123456789012:outpost/op-01234567890123456/accesspoint/demo"
OUTPOSTS_BUCKET = "demo-123456789012"  # the name of that access point in the S3 server
PLAIN_BUCKET = "demo-plain-bucket"
HOUR = 3600
HEALTH_DEADLINE = 10  # seconds
BATCHES, BATCH_SIZE = 10, 1000
METRICS = ("presignd_urls_total", "presignd_expiry_clamped_total", "presignd_expiry_clamped_seconds_sum",
           "presignd_expiry_clamped_seconds_count", "presignd_sign_duration_seconds_count")
# Do not use the proxy of the user's environment for loopback.
CHANNEL_OPTIONS = [("grpc.enable_http_proxy", 0)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presignd", required=True, type=Path, help="the presignd binary")
    binary = parser.parse_args().presignd
    started = time.monotonic()
    # Raises, so that everything is stopped, as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("\nFAILED: stopped by SIGTERM"))
    try:
        with contextlib.ExitStack() as stack:
            Demo(binary, stack).run()
    except DemoFailure as failure:
        print(f"\nFAILED: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nFAILED: interrupted", file=sys.stderr)
        return 1
    except grpc.RpcError as error:
        print(f"\nFAILED: presignd answered {error.code().name}: {error.details()}", file=sys.stderr)
        return 1
    except (OSError, http.client.HTTPException) as error:
        print(f"\nFAILED: a connection on this machine failed: {error!r}", file=sys.stderr)
        return 1
    print(f"\nEverything worked, in {time.monotonic() - started:.1f} s, and every process has ended.")
    return 0


class Demo:
    """The steps in order, and what later steps need of earlier ones."""

    def __init__(self, binary: Path, stack: contextlib.ExitStack):
        self.binary = binary.resolve()
        self.stack = stack
        self.step_number = 0
        self.url_count = 0

    def run(self) -> None:
        self.start_s3()
        self.start_presignd()
        outposts = self.round_trip("an S3 on Outposts access point", OUTPOSTS_ARN, "s3-outposts")
        self.round_trip("a plain bucket", PLAIN_BUCKET, "s3")
        self.reject_tampered(outposts)
        self.reject_expired()
        self.sign_many()
        self.clamp()
        self.unix_socket()
        self.metrics()
        self.stop()

    def step(self, title: str) -> None:
        self.step_number += 1
        print(f"\n{self.step_number}. {title}", flush=True)

    def start_s3(self) -> None:
        self.step("An S3 server that verifies signatures, and credentials that end in one hour")
        self.directory = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="presignd-demo-")))
        self.api, self.grpc_api = generate_stubs(self.directory)
        self.s3_port, root = self.stack.enter_context(s3_server([OUTPOSTS_BUCKET, PLAIN_BUCKET]))
        tick(f"ministack accepts signed writes on 127.0.0.1:{self.s3_port}")
        self.credentials = assume_role(self.s3_port, root, HOUR)
        self.credentials_end = int(self.credentials["Expiration"].timestamp())
        check(abs(self.credentials_end - time.time() - HOUR) < 60,
              f"temporary credentials by STS AssumeRole until {clock(self.credentials_end)}")

    def start_presignd(self) -> None:
        self.step("presignd, with those credentials from a profile's credential_process")
        environment = presignd_environment(self.directory, self.credentials)
        self.presignd = self.stack.enter_context(running_presignd(self.binary, self.directory, environment))
        self.at = self.presignd.addresses()
        tick(f"listens on tcp {self.at.tcp}, unix {self.at.unix}, admin {self.at.admin}")
        channel = self.stack.enter_context(grpc.insecure_channel(self.at.tcp, options=CHANNEL_OPTIONS))
        self.client = self.grpc_api.PresignServiceStub(channel)
        check(self.healthy(channel), "gRPC health Watch says SERVING",
              f"presignd was not SERVING within {HEALTH_DEADLINE} s")

    @staticmethod
    def healthy(channel) -> bool:
        """Watches health until it is SERVING: presignd says NOT_SERVING until it has had credentials."""
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=HEALTH_DEADLINE)
        try:
            return any(answer.status == health_pb2.HealthCheckResponse.SERVING for answer in watch)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                return False
            raise
        finally:
            watch.cancel()

    def presign(self, client=None, **fields):
        """One Presign call; returns the PresignedRequest."""
        answer = (client or self.client).Presign(self.api.PresignRequest(**fields), timeout=10)
        self.url_count += 1
        return answer.presigned

    def round_trip(self, what: str, bucket: str, service: str):
        self.step(f"Upload and download: {what}")
        print(f"   bucket: {bucket}")
        data = f"hello from {what}\n".encode() * 100
        target = {"bucket": bucket, "key": "photos/2024/hello.txt", "expires_in": Duration(seconds=600)}
        put = self.presign(**target, put_object=self.api.PutObject(content_type="text/plain"))
        show(put)
        check(put.headers == {"content-type": "text/plain"}, f"headers to send: {dict(put.headers)}")
        expect(url_user.send(self.s3_port, put, data), 200, f"uploaded {len(data):,} bytes")
        get = self.presign(**target, get_object=self.api.GetObject())
        show(get)
        answer = url_user.send(self.s3_port, get)
        expect(answer, 200, f"downloaded {len(answer.body):,} bytes")
        check(answer.body == data, "the bytes are the same")
        check(url_user.scope(get.url).endswith(f"/us-east-1/{service}/aws4_request"),
              f"signed for {url_user.scope(get.url)}")
        return get

    def reject_tampered(self, get) -> None:
        self.step("A tampered URL")
        for what, old, new in (("another key", "hello.txt", "other.txt"),
                               ("a longer lifetime", "X-Amz-Expires=600", "X-Amz-Expires=601")):
            changed = get.url.replace(old, new, 1)
            check(changed != get.url, f"changed in the URL: {old} to {new}")
            expect(url_user.send(self.s3_port, get, url=changed), 403, f"rejected for {what}", "SignatureDoesNotMatch")

    def reject_expired(self) -> None:
        self.step("An expired URL")
        get = self.presign(bucket=OUTPOSTS_ARN, key="photos/2024/hello.txt", expires_in=Duration(seconds=1),
                           get_object=self.api.GetObject())
        check(get.granted.seconds == 1, f"granted for 1 s, until {clock(get.expires_at.seconds)}")
        deadline = time.monotonic() + 10
        answer = url_user.send(self.s3_port, get)
        while answer.status == 200 and time.monotonic() < deadline:
            time.sleep(0.1)
            answer = url_user.send(self.s3_port, get)
        expect(answer, 403, "rejected since then", "AccessDenied")

    def sign_many(self) -> None:
        total = BATCHES * BATCH_SIZE
        self.step(f"{total:,} upload URLs in {BATCHES} calls")
        calls = [self.api.BatchPresignRequest(
            defaults=self.api.PresignRequest(bucket=OUTPOSTS_ARN, expires_in=Duration(seconds=900),
                                             put_object=self.api.PutObject()),
            requests=[self.api.PresignRequest(key=f"batch/{batch}/{item:04}") for item in range(BATCH_SIZE)],
        ) for batch in range(BATCHES)]
        started = time.perf_counter()
        answers = [self.client.BatchPresign(call, timeout=30) for call in calls]
        seconds = time.perf_counter() - started
        results = [result for answer in answers for result in answer.results]
        failed = next((result.error for result in results if result.WhichOneof("result") != "presigned"), None)
        check(failed is None, f"each of {len(results):,} results is a URL",
              f"an item failed: {failed.message if failed else ''}")
        self.url_count += len(results)
        check(len({result.presigned.url for result in results}) == total, f"{total:,} different URLs")
        tick(f"{seconds:.2f} s: {total / seconds:,.0f} URLs/s over TCP, one Python client, one call at a time")
        for index in (0, total // 2, total - 1):
            expect(url_user.send(self.s3_port, results[index].presigned, b"x"), 200, f"number {index + 1:,} uploads")

    def clamp(self) -> None:
        self.step("A request for 12 hours, with credentials that end in one hour")
        get = self.presign(bucket=OUTPOSTS_ARN, key="photos/2024/hello.txt", expires_in=Duration(seconds=12 * HOUR),
                           get_object=self.api.GetObject())
        reason = self.api.ClampReason.Name(get.clamp_reason)
        print(f"   requested     {get.requested.seconds:>6} s\n   granted       {get.granted.seconds:>6} s\n"
              f"   expires_at    {clock(get.expires_at.seconds)}  (credentials end {clock(self.credentials_end)})\n"
              f"   clamp_reason  {reason}")
        check(get.requested.seconds == 12 * HOUR, "the answer has the requested lifetime")
        check(reason.endswith("CREDENTIAL_EXPIRY"), "and why less was granted")
        check(get.expires_at.seconds <= self.credentials_end, "expires_at is not after the end of the credentials")
        check(get.granted.seconds > HOUR // 2, "and most of the remaining time was granted")
        check(f"X-Amz-Expires={get.granted.seconds}&" in get.url, "the URL has the same lifetime")
        check(get.expires_at.seconds - get.signed_at.seconds == get.granted.seconds, "expires_at is signed_at plus granted")
        expect(url_user.send(self.s3_port, get), 200, "the URL works")

    def unix_socket(self) -> None:
        self.step("The same over the Unix socket")
        with grpc.insecure_channel(f"unix://{self.at.unix}", options=CHANNEL_OPTIONS) as channel:
            get = self.presign(self.grpc_api.PresignServiceStub(channel), bucket=PLAIN_BUCKET,
                               key="photos/2024/hello.txt", get_object=self.api.GetObject())
        expect(url_user.send(self.s3_port, get), 200, f"a URL from unix://{self.at.unix} works")
        check(get.granted.seconds == 900, "without expires_in it has the default 15 minutes")

    def metrics(self) -> None:
        self.step(f"Metrics: http://{self.at.admin}/metrics")
        connection = http.client.HTTPConnection(self.at.admin, timeout=10)
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        check(response.status == 200, "answered 200")
        sums = {name: 0.0 for name in METRICS}
        for line in text.splitlines():
            sample = re.fullmatch(r"(\w+)(\{.*\})? (\S+)", line)
            if sample and sample[1] in sums:
                print(f"   {line}")
                sums[sample[1]] += float(sample[3])
        check(sums["presignd_urls_total"] == self.url_count, f"all {self.url_count:,} URLs of this demo are counted")
        check(sums["presignd_sign_duration_seconds_count"] == self.url_count, "and so are their signatures")
        clamped = 12 * HOUR - HOUR
        check(sums["presignd_expiry_clamped_total"] == sums["presignd_expiry_clamped_seconds_count"] == 1
              and sums["presignd_expiry_clamped_seconds_sum"] >= clamped, "one was shortened, by 11 hours or more")

    def stop(self) -> None:
        self.step("The end")
        code = self.presignd.stop()
        check(code == 0, "presignd ended with code 0 on SIGTERM", f"presignd ended with code {code} on SIGTERM")
        log = self.presignd.text()
        leaked = [name for name, secret in (("secret key", self.credentials["SecretAccessKey"]),
                                            ("session token", self.credentials["SessionToken"]),
                                            ("signature", "X-Amz-Signature")) if secret in log]
        check(not leaked, "its log has no secret key, session token or signature", f"its log has a {leaked}")


def check(condition: bool, text: str, otherwise: str = "") -> None:
    """Prints a tick, or ends the demo."""
    if not condition:
        raise DemoFailure(otherwise or f"this check failed: {text}")
    tick(text)


def tick(text: str) -> None:
    print(f"   ✓ {text}", flush=True)


def expect(answer: url_user.Answer, status: int, text: str, code: str = "") -> None:
    """Checks the status of the S3 server, and S3's error code where one is expected."""
    shown = f"{answer.status} {answer.code}".strip()
    check(answer.status == status and answer.code == code, f"{text}: {shown}",
          f"the S3 server answered {shown}, expected {status} {code} ({text})")


def show(presigned) -> None:
    print(f"   {presigned.method} {url_user.masked(presigned.url)}")


def clock(unix_seconds: int) -> str:
    return time.strftime("%H:%M:%S UTC", time.gmtime(unix_seconds))


if __name__ == "__main__":
    sys.exit(main())
