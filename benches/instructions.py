#!/usr/bin/env python3
"""Counts the instructions of presignd's core per URL, without hashing, and compares them with recorded counts.

Times are too noisy for CI; callgrind counts the same for the same binary, whatever else the machine does. It does not
know SHA instructions, so hashing is counted separately, over the same bytes, and subtracted.
"""
import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

RECORD = Path(__file__).resolve().with_name("instructions.json")
ALLOWED = 0.10
"""The largest accepted difference from the record, as a fraction: string functions differ slightly between processors,
and the compiler inlines slightly differently in another directory (up to 3 %)."""
FEW, MANY = 200, 1_200


def count_instructions(binary: Path, scenario: str, what: str, count: int) -> int:
    """Returns the instructions of one run of the binary."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(binary), scenario, what,
               str(count)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    collected = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode != 0 or not collected:
        sys.exit(f"instructions: {' '.join(command)} failed:\n{run.stderr}")
    return int(collected[1])


def count_per_url(binary: Path, scenario: str, what: str) -> float:
    """Returns the instructions of one URL, without those of the start."""
    few, many = (count_instructions(binary, scenario, what, count) for count in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary", type=Path)
    parser.add_argument("--record", action="store_true", help="record the counts instead of comparing them")
    options = parser.parse_args()
    record: dict[str, int] = json.loads(RECORD.read_text())
    signed, hashed = ({name: count_per_url(options.binary, name, what) for name in record} for what in ("sign", "hash"))
    counts = {name: round(signed[name] - hashed[name]) for name in record}
    if options.record:
        RECORD.write_text(json.dumps(counts, indent=1) + "\n")
        print(f"{RECORD.name}: {counts}")
        return 0
    wrong = 0
    for name, count in counts.items():
        change = count / record[name] - 1 if record[name] else 0.0
        verdict = "ok" if abs(change) <= ALLOWED else "MORE THAN RECORDED" if change > 0 else "FEWER THAN RECORDED"
        wrong += verdict != "ok"
        print(f"{name:18} {count:6} instructions per URL without hashing, recorded {record[name]:6} ({change:+.1%}): "
              f"{verdict}")
    if wrong:
        print("instructions: if the change is intended, record it with `make instructions-record`", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
