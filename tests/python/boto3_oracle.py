"""Presigns with boto3, as an independent reference for presignd's URLs. Uses no network.

Reads one JSON object per line from stdin, and writes one JSON line to stdout for each, in order:

    {"time": 1700000000, "region": "us-east-1", "access_key": "...", "secret_key": "...", "session_token": null,
     "endpoint": null, "path_style": false, "operation": "PutObject", "bucket": "NAME or ARN", "key": "a/b",
     "expires_in": 900, "params": {"ContentType": "text/plain"}}

    {"url": "https://...", "headers": {"content-type": "text/plain"}}      or      {"error": "ParamValidationError: ..."}

With "operation": "PresignPost" it returns {"url": "https://...", "fields": {...}}; `params` are then the arguments
Fields and Conditions of generate_presigned_post. boto3 writes the given conditions first, in their order, and adds none
for Fields: each field needs its own condition.

`headers` are the signed headers with their values, without `host`. `params` are botocore's names; times are ISO 8601
strings. An empty `key` or `bucket` is omitted. Optional: `config`, additional arguments of botocore's Config, such as
{"use_fips_endpoint": true} or {"s3": {"use_arn_region": false}}.

boto3 is configured to presign like presignd: `s3v4`, the regional host also in us-east-1, and no default checksum. The
signing time is fixed: botocore.auth reads the time through its name `get_current_datetime`, which is replaced here.
This works for the botocore in requirements.txt; a version that reads the clock in another way fails the check below.

Differences between boto3 and presignd:
- Multi-Region Access Points: with `s3v4` it signs SigV4 for the client's region, which S3 rejects. Directory buckets:
  it signs with service `s3` and the plain credentials, without a session.
- ListObjects, ListObjectsV2, ListObjectVersions and ListMultipartUploads get `encoding-type=url` unless EncodingType is
  set: set `encoding_type: "url"` in the request to presignd.
- SSECustomerKey must be unencoded; boto3 adds Base64 and the MD5, but not in ListParts and GetObjectAttributes.
- A body (Delete, Tagging, MultipartUpload, ...) makes boto3 fail, because it parses XML as JSON. The body is removed
  here before signing; a URL contains none. boto3 percent-encodes CopySource, so it must be unencoded in `params`.
- A bucket with a dot in its name always gets path style with https, even if path_style is false."""
import datetime
import functools
import json
import os
import sys

# This comes before the import of botocore: results must depend only on the input, not on the user's AWS configuration.
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
    except Exception as error:  # every error is a result, which the caller compares
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
    if not clock.called:
        raise RuntimeError("this botocore does not read the time through botocore.auth.get_current_datetime")
    return {"url": url, "headers": signed.headers}


def presign_post(client, request: dict) -> dict:
    """botocore.signers has a separate name for the clock, which sets the expiry of the policy."""
    clock = FrozenClock(request["time"])
    botocore.signers.get_current_datetime = clock
    form = client.generate_presigned_post(request["bucket"], request["key"], ExpiresIn=request["expires_in"],
                                          **(request.get("params") or {}))
    if not clock.called:
        raise RuntimeError("this botocore does not read the time through botocore.signers.get_current_datetime")
    return form


@functools.lru_cache(maxsize=128)
def client_for(region, access_key, secret_key, session_token, endpoint, path_style, config):
    """Caches one client per configuration: a new client takes tens of milliseconds, a presigned URL less than one."""
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
    """GetObject -> get_object, according to the table of botocore (ListObjectsV2 is list_objects_v2)."""
    for method, name in client.meta.method_to_api_mapping.items():
        if name == operation:
            return method
    raise ValueError(f"S3 has no operation {operation}")


class FrozenClock:
    """Replaces get_current_datetime of botocore, and records whether it was called."""

    def __init__(self, unix_seconds: float):
        self.now = datetime.datetime.fromtimestamp(unix_seconds, datetime.timezone.utc)
        self.called = False

    def __call__(self, remove_tzinfo: bool = True) -> datetime.datetime:
        self.called = True
        return self.now.replace(tzinfo=None) if remove_tzinfo else self.now


class SignedHeaders:
    """Records the headers that botocore signs, in the function that selects them."""

    original = staticmethod(botocore.auth.S3SigV4QueryAuth.headers_to_sign)

    def __init__(self):
        self.headers: dict[str, str] = {}

    def record(self, request):
        headers = self.original(SIGNER, request)
        self.headers = {name.lower(): value for name, value in headers.items() if name.lower() != "host"}
        return headers


# headers_to_sign uses only a constant of its signer, so one signer without fields is enough.
SIGNER = object.__new__(botocore.auth.S3SigV4QueryAuth)

if __name__ == "__main__":
    main()
