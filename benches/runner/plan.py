"""The size of a run, and its tools."""
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]

BENCHES = Path(__file__).resolve().parents[1]
REPOSITORY = BENCHES.parent
ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SESSION_TOKEN = (BENCHES / "session-token.txt").read_text()
REGION = "us-east-1"
BUCKET = "example-bucket"
OUTPOSTS = "arn:aws:s3-outposts:us-east-1:123456789012:outpost/op-01234567890123456/accesspoint/demo"
TOKENS = ("no_token", "token")


@dataclass(frozen=True)
class Tools:
    """The programs and directories from the command line."""

    presignd: Path
    bench: Path
    python: Path
    node_modules: Path


@dataclass(frozen=True)
class Plan:
    """Counts, and times in seconds unless their name has another unit."""

    rounds: int
    core_rounds: int
    core_sample_ms: int
    unary: float
    throughput: float
    contention: float
    streamed: int
    full_load: float
    starts: int
    client_rounds: int


FULL = Plan(rounds=5, core_rounds=15, core_sample_ms=40, unary=1.0, throughput=0.5, contention=1.5,
            streamed=10_000_000, full_load=3.0, starts=10, client_rounds=7)
QUICK = Plan(rounds=3, core_rounds=5, core_sample_ms=20, unary=0.3, throughput=0.2, contention=0.6,
             streamed=1_000_000, full_load=1.0, starts=5, client_rounds=3)
