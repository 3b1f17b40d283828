"""Compares boto3 in this process with the same work through presignd and grpcio.

They are measured alternately, and each URL is read. Prints JSON.
"""
import argparse
import importlib
import json
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import botocore
import grpc
import grpc_tools
from botocore.config import Config
from google.protobuf.duration_pb2 import Duration
from grpc_tools import protoc

EXPIRES_IN = 900
BATCH = 1_000
SDK_URLS = 300
BATCHES = 20


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        messages, stubs = generate_stubs(options.proto, Path(folder))
    with grpc.insecure_channel(f"unix://{options.socket}") as channel:
        stub = stubs.PresignServiceStub(channel)
        buckets = {"bucket": options.bucket, "outposts": options.outposts}
        client = sdk_client()
        contenders = {f"sdk_{name}": in_process(client, bucket) for name, bucket in buckets.items()}
        contenders |= {f"presignd_{name}": through_presignd(stub, messages, bucket) for name, bucket in buckets.items()}
        with grpc.insecure_channel(f"unix:{options.bare}", options=[("grpc.default_authority", "localhost")]) as other:
            bare = stubs.PresignServiceStub(other)
            contenders["bare"] = through_bare(bare, messages, options.url_bytes)
            report = {"versions": versions(), "us_per_url": measure_rounds(contenders, options.rounds)}
        print(json.dumps(report))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--bare", type=Path, required=True, help="socket of the bare server")
    parser.add_argument("--url-bytes", type=int, required=True, help="length of its URLs in bytes")
    parser.add_argument("--proto", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--outposts", required=True)
    return parser.parse_args()


def generate_stubs(proto: Path, folder: Path) -> tuple[Any, Any]:
    """Generates and imports the modules of presign.proto; googleapis-common-protos has google/rpc/status.proto."""
    bundled = Path(grpc_tools.__file__).parent / "_proto"
    code = protoc.main(["protoc", f"-I{proto}", f"-I{bundled}", f"--python_out={folder}",
                        f"--grpc_python_out={folder}", "presign/v1/presign.proto"])
    if code != 0:
        sys.exit(f"protoc ended with code {code}")
    sys.path.insert(0, str(folder))
    return (importlib.import_module("presign.v1.presign_pb2"), importlib.import_module("presign.v1.presign_pb2_grpc"))


def sdk_client() -> Any:
    """A boto3 client that is configured to sign with SigV4 for the regional endpoint."""
    config = Config(signature_version="s3v4", s3={"us_east_1_regional_endpoint": "regional"})
    return boto3.session.Session().client("s3", config=config)


def in_process(client: Any, bucket: str) -> Callable[[int], float]:
    def sample(first: int) -> float:
        began = time.perf_counter()
        urls = [client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key(number)},
                                              ExpiresIn=EXPIRES_IN)
                for number in range(first, first + SDK_URLS)]
        took = time.perf_counter() - began
        check(urls, SDK_URLS)
        return took / SDK_URLS * 1e6
    return sample


def through_presignd(stub: Any, messages: Any, bucket: str) -> Callable[[int], float]:
    defaults = messages.PresignRequest(bucket=bucket, expires_in=Duration(seconds=EXPIRES_IN),
                                       get_object=messages.GetObject())

    def sample(first: int) -> float:
        took, urls = batches(stub, messages, defaults, first)
        check(urls, BATCHES * BATCH)
        return took
    return sample


def through_bare(stub: Any, messages: Any, url_bytes: int) -> Callable[[int], float]:
    """The share of gRPC and Python: the responses have the same size, but contain no URLs."""
    defaults = messages.PresignRequest(bucket="example-bucket", expires_in=Duration(seconds=EXPIRES_IN),
                                       get_object=messages.GetObject(), signer=str(url_bytes))

    def sample(first: int) -> float:
        took, urls = batches(stub, messages, defaults, first)
        if [len(url) for url in urls] != [url_bytes] * BATCHES * BATCH:
            sys.exit("the bare server returned URLs of a wrong length")
        return took
    return sample


def batches(stub: Any, messages: Any, defaults: Any, first: int) -> tuple[float, list[str]]:
    """Returns the microseconds per URL, and the URLs. The next batch is in flight while the previous one is read."""
    urls: list[str] = []
    in_flight: deque[Any] = deque()
    began = time.perf_counter()
    for start in range(first, first + BATCHES * BATCH, BATCH):
        requests = [messages.PresignRequest(key=key(number)) for number in range(start, start + BATCH)]
        batch = messages.BatchPresignRequest(requests=requests, defaults=defaults)
        in_flight.append(stub.BatchPresign.future(batch, timeout=30))
        if len(in_flight) > 1:
            read(in_flight.popleft(), urls)
    read(in_flight.popleft(), urls)
    return (time.perf_counter() - began) / (BATCHES * BATCH) * 1e6, urls


def read(call: Any, urls: list[str]) -> None:
    urls.extend(result.presigned.url for result in call.result().results)


def measure_rounds(contenders: dict[str, Callable[[int], float]], rounds: int) -> dict[str, list[float]]:
    """Measures every contender once per round; the order rotates from round to round. The first round is a warm-up."""
    names = list(contenders)
    results: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        for offset in range(len(names)):
            name = names[(number + offset) % len(names)]
            took = contenders[name](number * BATCHES * BATCH)
            if number > 0:
                results[name].append(took)
    return results


def key(number: int) -> str:
    return f"photos/2026/11/26/IMG_{number:08}.jpg"


def check(urls: list[str], expected: int) -> None:
    whole = [url for url in urls if "X-Amz-Signature=" in url and "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url]
    if len(whole) != expected or len(set(urls)) != expected:
        sys.exit(f"{len(whole)} of {expected} URLs are presigned")


def versions() -> dict[str, str]:
    return {"python": sys.version.split()[0], "boto3": boto3.__version__, "botocore": botocore.__version__,
            "grpcio": grpc.__version__}


if __name__ == "__main__":
    main()
