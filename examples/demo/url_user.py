"""The user of a presigned URL: sends it over plain HTTP, byte for byte, and prints it without its secrets.

An Outposts host does not resolve here, and no server on this machine has a certificate for it. So the request goes to
127.0.0.1 over HTTP, with the Host header and the path of the URL, which the signature covers.
"""
import http.client
import re
from dataclasses import dataclass

# Not needed by S3, and not signed. ministack needs it for temporary credentials with scope s3-outposts; without it, it
# hashes the body (see tests/python/s3_server.py).
UNSIGNED_PAYLOAD = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}


@dataclass(frozen=True)
class Answer:
    """What the S3 server answered."""

    status: int
    body: bytes

    @property
    def code(self) -> str:
        """S3's error code from its XML, such as AccessDenied; empty when there is none."""
        code = re.search(rb"<Code>([^<]*)</Code>", self.body)
        return code[1].decode() if code else ""


def send(port: int, presigned, body: bytes = b"", url: str = "") -> Answer:
    """Sends a PresignedRequest (or `url` instead of its own) with its method and its headers."""
    host, target = split(url or presigned.url)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        # http.client sends the target as it is: most other clients fold `//`, `.` and `..`.
        connection.putrequest(presigned.method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in {"host": host, **UNSIGNED_PAYLOAD, **presigned.headers}.items():
            connection.putheader(name, value)
        if body:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body or None)
        response = connection.getresponse()
        return Answer(response.status, response.read())
    finally:
        connection.close()


def split(url: str) -> tuple[str, str]:
    """The Host header and the request target; no URL library, which might normalise them."""
    authority, _, rest = url.partition("://")[2].partition("/")
    return authority, "/" + rest


def masked(url: str) -> str:
    """The URL on several lines, without signature and session token, which are secrets."""
    shown = re.sub(r"(X-Amz-(?:Signature|Security-Token)=)[^&]*", r"\1…", url)
    return shown.replace("?", "\n      ?", 1).replace("&", "\n      &")


def scope(url: str) -> str:
    """The credential scope, such as 20231114/us-east-1/s3-outposts/aws4_request."""
    match = re.search(r"X-Amz-Credential=[^&]*?%2F([^&]*)", url)
    return match[1].replace("%2F", "/") if match else ""
