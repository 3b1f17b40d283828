"""What boto3 would presign: an independent oracle for presignd's URLs. Uses no network.

Reads one JSON object a line on stdin and answers each with one JSON line on stdout, in order:

    {"time": 1700000000, "region": "us-east-1", "access_key": "...", "secret_key": "...", "session_token": null,
     "endpoint": null, "path_style": false, "operation": "PutObject", "bucket": "NAME or ARN", "key": "a/b",
     "expires_in": 900, "params": {"ContentType": "text/plain"}}

    {"url": "https://...", "headers": {"content-type": "text/plain"}}      or      {"error": "ParamValidationError: ..."}

With "operation": "PresignPost" it answers {"url": "https://...", "fields": {...}}; `params` then are the arguments
Fields and Conditions of generate_presigned_post. boto3 has the conditions that are given first, in their order, and
adds none for Fields: each needs its own.

`headers` are the signed headers with their values, without `host`. `params` are botocore's names; times are ISO 8601
strings. An empty `key` or `bucket` is left out. Optional: `config`, further arguments of botocore's Config, such as
{"use_fips_endpoint": true} or {"s3": {"use_arn_region": false}}.

boto3 is told what it must be told to presign well: `s3v4`, the regional host also in us-east-1, and no checksum that
nobody asked for. A time that is given stands still: botocore.auth asks its own name `get_current_datetime`, which is
replaced here (botocore as pinned in requirements.txt; a version that reads the clock otherwise fails the check below).

Where boto3 is no oracle, or another one than it seems:
- Multi-Region Access Points: told `s3v4` it signs SigV4 for the client's region, which S3 refuses. Directory buckets:
  it signs with service `s3` and the plain credentials, without a session.
- ListObjects, ListObjectsV2, ListObjectVersions and ListMultipartUploads get `encoding-type=url` unless EncodingType
  is given: ask presignd for `encoding_type: "url"` too.
- SSECustomerKey is given unencoded and gets Base64 and its MD5, but neither in ListParts and GetObjectAttributes.
- A body (Delete, Tagging, MultipartUpload, ...) makes it fail, as it reads XML as JSON. It is dropped here before
  signing: no URL holds a body. CopySource is percent-encoded by boto3, so give it unencoded.
- A bucket with a dot in its name gets path style over https, whatever path_style says.
"""
import datetime
import functools
import json
import os
import sys

# Before botocore is imported: the oracle answers from its input alone, not from the user's AWS setup.
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ.update(AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)

import botocore.auth  # noqa: E402
import botocore.session  # noqa: E402
import botocore.signers  # noqa: E402
from botocore.config import Config  # noqa: E402

SESSION = botocore.session.Session()


def main() -> None:
    for line in sys.stdin:
        if line.strip():
            print(json.dumps(answer(line)), flush=True)


def answer(line: str) -> dict:
    try:
        return presign(json.loads(line))
    except Exception as error:  # an error of any kind is an answer: the caller compares it
        return {"error": f"{type(error).__name__}: {error}"}


def presign(request: dict) -> dict:
    client = client_for(request["region"], request["access_key"], request["secret_key"], request.get("session_token"),
                        request.get("endpoint"), bool(request.get("path_style")),
                        json.dumps(request.get("config") or {}, sort_keys=True))
    clock = FrozenClock(request["time"])
    botocore.auth.get_current_datetime = clock
    if request["operation"] == "PresignPost":
        return presign_post(client, request)
    method = botocore_method(client, request["operation"])
    params = dict(request.get("params") or {})
    for name, value in (("Bucket", request.get("bucket")), ("Key", request.get("key"))):
        if value:
            params[name] = value
    signed = SignedHeaders()
    botocore.auth.S3SigV4QueryAuth.headers_to_sign = signed.record
    url = client.generate_presigned_url(method, Params=params, ExpiresIn=request["expires_in"])
    if not clock.asked:
        raise RuntimeError("this botocore does not read the time through botocore.auth.get_current_datetime")
    return {"url": url, "headers": signed.seen}


def presign_post(client, request: dict) -> dict:
    """botocore.signers has a name of its own for the clock, which decides when the policy expires."""
    clock = FrozenClock(request["time"])
    botocore.signers.get_current_datetime = clock
    form = client.generate_presigned_post(request["bucket"], request["key"], ExpiresIn=request["expires_in"],
                                          **(request.get("params") or {}))
    if not clock.asked:
        raise RuntimeError("this botocore does not read the time through botocore.signers.get_current_datetime")
    return form


@functools.lru_cache(maxsize=128)
def client_for(region, access_key, secret_key, session_token, endpoint, path_style, config):
    """One client for each setting: making one takes tens of milliseconds, presigning with it less than one."""
    extra = json.loads(config)
    s3 = {"us_east_1_regional_endpoint": "regional", "addressing_style": "path" if path_style else "virtual",
          **extra.pop("s3", {})}
    settings = Config(signature_version="s3v4", s3=s3, request_checksum_calculation="when_required",
                      response_checksum_validation="when_required").merge(Config(**extra))
    client = SESSION.create_client("s3", region_name=region, aws_access_key_id=access_key,
                                   aws_secret_access_key=secret_key, aws_session_token=session_token,
                                   endpoint_url=endpoint, config=settings)
    client.meta.events.register("before-sign.s3", drop_body)
    return client


def drop_body(request, **_):
    request.data = b""


def botocore_method(client, operation: str) -> str:
    """GetObject -> get_object, by botocore's own table (ListObjectsV2 is list_objects_v2)."""
    for method, name in client.meta.method_to_api_mapping.items():
        if name == operation:
            return method
    raise ValueError(f"S3 has no operation {operation}")


class FrozenClock:
    """Stands in for botocore's get_current_datetime, and knows whether it was asked."""

    def __init__(self, unix_seconds: float):
        self.now = datetime.datetime.fromtimestamp(unix_seconds, datetime.timezone.utc)
        self.asked = False

    def __call__(self, remove_tzinfo: bool = True) -> datetime.datetime:
        self.asked = True
        return self.now.replace(tzinfo=None) if remove_tzinfo else self.now


class SignedHeaders:
    """Notes what botocore signs, at the place where it decides that."""

    original = staticmethod(botocore.auth.S3SigV4QueryAuth.headers_to_sign)

    def __init__(self):
        self.seen: dict[str, str] = {}

    def record(self, request):
        headers = self.original(SIGNER, request)
        self.seen = {name.lower(): value for name, value in headers.items() if name.lower() != "host"}
        return headers


# headers_to_sign reads nothing of its signer but a constant, so one stands for all.
SIGNER = object.__new__(botocore.auth.S3SigV4QueryAuth)

if __name__ == "__main__":
    main()
