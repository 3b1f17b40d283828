"""A gRPC client without special settings: makes every kind of call to each TARGET.

    PYTHON client.py TARGET...

Prints a line for each target whose responses are all correct, and fails otherwise. The stubs are generated into a
temporary directory.
"""
import importlib
import sys
import tempfile
from pathlib import Path

import grpc
import grpc_tools
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from grpc_tools import protoc

REPOSITORY = Path(__file__).resolve().parents[2]
DEADLINE = 20  # seconds
# A proxy from the user's environment must not be used on loopback.
OPTIONS = [("grpc.enable_http_proxy", 0)]


def generate_stubs(directory: str):
    """Generates stubs of presign.proto only: the modules of google.rpc are in googleapis-common-protos."""
    bundled = Path(grpc_tools.__file__).parent / "_proto"
    code = protoc.main(["protoc", f"-I{REPOSITORY / 'proto'}", f"-I{bundled}", f"--python_out={directory}",
                        f"--grpc_python_out={directory}", "presign/v1/presign.proto"])
    assert code == 0, f"protoc exited with code {code}"
    sys.path.insert(0, directory)
    return (importlib.import_module("presign.v1.presign_pb2"), importlib.import_module("presign.v1.presign_pb2_grpc"))


class Client:
    """The calls on one channel."""

    def __init__(self, api, stub, channel):
        self.api, self.stub, self.channel = api, stub, channel

    def get(self, key: str):
        return self.api.PresignRequest(bucket="plain-bucket", key=key, get_object=self.api.GetObject())

    def batch(self, *keys: str):
        return self.api.BatchPresignRequest(requests=[self.get(key) for key in keys])

    def check(self) -> None:
        self.presign()
        self.batch_presign()
        self.stream_presign()
        self.error()
        self.health()

    def presign(self) -> None:
        presigned = self.stub.Presign(self.get("photo é.jpg"), timeout=DEADLINE).presigned
        start = "https://plain-bucket.s3.us-east-1.amazonaws.com/photo%20%C3%A9.jpg?"
        assert presigned.url.startswith(start), "the URL is for the object"
        assert presigned.method == "GET" and presigned.granted.seconds == 900

    def batch_presign(self) -> None:
        keys = [f"key-{number}" for number in range(1000)]
        for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
            results = self.stub.BatchPresign(self.batch(*keys), timeout=DEADLINE, compression=compression).results
            assert all(f"/{key}?" in result.presigned.url for key, result in zip(keys, results, strict=True))

    def stream_presign(self) -> None:
        messages = (self.api.StreamPresignRequest(batch=self.batch("a", "b")) for _ in range(3))
        answers = list(self.stub.StreamPresign(messages, timeout=DEADLINE))
        assert [(answer.first_index, len(answer.batch.results)) for answer in answers] == [(0, 2), (2, 2), (4, 2)]

    def error(self) -> None:
        try:
            self.stub.Presign(self.get(""), timeout=DEADLINE)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
            assert error.details() == "key is empty: GetObject needs an object key"
            info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            first, second = rpc_status.from_call(error).details
            assert first.Unpack(info) and second.Unpack(bad_request), "both details are there"
            assert (info.reason, info.domain) == ("KEY_INVALID", "presign.v1")
            assert [violation.field for violation in bad_request.field_violations] == ["key"]
        else:
            raise AssertionError("an empty key was accepted")

    def health(self) -> None:
        answer = health_pb2_grpc.HealthStub(self.channel).Check(health_pb2.HealthCheckRequest(), timeout=DEADLINE)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def main(targets: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="presignd-stubs-") as directory:
        api, grpc_api = generate_stubs(directory)
        for target in targets:
            with grpc.insecure_channel(target, options=OPTIONS) as channel:
                Client(api, grpc_api.PresignServiceStub(channel), channel).check()
            print(f"{target} works", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
