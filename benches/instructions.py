#!/usr/bin/env python3
"""Counts the instructions that presignd's core takes for a URL beside the hashing, and holds them against a record.

Times are too noisy for CI; callgrind counts the same for the same binary, whatever else the machine does. It knows no
SHA instructions, so hashing is counted apart, over the same bytes, and taken off.
"""
import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

RECORD = Path(__file__).resolve().with_name("instructions.json")
ALLOWED = 0.10
"""How far a count may be from the record: string functions differ a little between processors, and the compiler inlines
a little differently in another folder (3 % was seen)."""
FEW, MANY = 200, 1_200


def counted(binary: Path, scenario: str, what: str, count: int) -> int:
    """The instructions of one run of the binary."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(binary), scenario, what, str(count)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode != 0 or not found:
        sys.exit(f"instructions: {' '.join(command)} failed:\n{run.stderr}")
    return int(found[1])


def each(binary: Path, scenario: str, what: str) -> float:
    """The instructions of one URL, without those of the start."""
    return (counted(binary, scenario, what, MANY) - counted(binary, scenario, what, FEW)) / (MANY - FEW)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary", type=Path)
    parser.add_argument("--record", action="store_true", help="write the counts down instead of comparing them")
    options = parser.parse_args()
    record: dict[str, int] = json.loads(RECORD.read_text())
    found = {name: round(each(options.binary, name, "sign") - each(options.binary, name, "hash")) for name in record}
    if options.record:
        RECORD.write_text(json.dumps(found, indent=1) + "\n")
        print(f"{RECORD.name}: {found}")
        return 0
    wrong = 0
    for name, count in found.items():
        change = count / record[name] - 1 if record[name] else 0.0
        verdict = "ok" if abs(change) <= ALLOWED else "MORE THAN RECORDED" if change > 0 else "FEWER THAN RECORDED"
        wrong += verdict != "ok"
        print(f"{name:18} {count:6} instructions a URL beside the hashing, recorded {record[name]:6} ({change:+.1%}): {verdict}")
    if wrong:
        print("instructions: if the change is meant, `make instructions-record` writes it down", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
