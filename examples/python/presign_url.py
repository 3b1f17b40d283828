"""Asks presignd for one presigned URL and prints it: the smallest client worth copying. README.md has the setup.

    python presign_url.py BUCKET-OR-ARN KEY
"""
import os
import sys

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from presign.v1 import presign_pb2, presign_pb2_grpc

TARGET = os.environ.get("PRESIGN_TARGET", "127.0.0.1:4780")  # or unix:///run/presignd/presignd.sock


def main(bucket: str, key: str) -> int:
    request = presign_pb2.PresignRequest(bucket=bucket, key=key, expires_in=Duration(seconds=600),
                                         get_object=presign_pb2.GetObject())
    with grpc.insecure_channel(TARGET) as channel:
        client = presign_pb2_grpc.PresignServiceStub(channel)
        try:
            # Always with a deadline: without one, a call can wait forever.
            presigned = client.Presign(request, timeout=5).presigned
        except grpc.RpcError as error:
            explain(error)
            return 1
    print(presigned.url)  # a secret: everybody who has it can use it, so never log it
    print(f"{presigned.method} until {presigned.expires_at.ToJsonString()}", file=sys.stderr)
    return 0


def explain(error: grpc.RpcError) -> None:
    """Prints the sentence, which is for people, and what is for programs: reason, fields and retry delay."""
    print(f"{error.code().name}: {error.details()}", file=sys.stderr)
    status = rpc_status.from_call(error)
    for detail in status.details if status else []:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
            print(f"  reason: {info.reason} ({info.domain}) {dict(info.metadata) or ''}", file=sys.stderr)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad_request = error_details_pb2.BadRequest()
            detail.Unpack(bad_request)
            for violation in bad_request.field_violations:
                print(f"  field {violation.field}: {violation.description}", file=sys.stderr)
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo()
            detail.Unpack(retry)
            print(f"  try again in {retry.retry_delay.ToTimedelta().total_seconds():g} s", file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
