#!/usr/bin/env python3
"""Measures presignd and its rivals in one run on this machine, and prints a table of ratios and goals.

It does not build or install anything (`make bench` does), sends only over loopback and Unix sockets, and ends every
process that it started. README.md explains the table.
"""
import argparse
import contextlib
import json
import signal
import sys
import time
from pathlib import Path

from runner import calls, clients, contention, footprint, goals, machine, table
from runner.plan import FULL, QUICK, Json, Plan, Tools
from runner.processes import BenchFailure, Cpus, bare_server, presignd, run_json, say


def main() -> int:
    options = arguments()
    tools = Tools(options.presignd.resolve(), options.bench.resolve(), options.python.absolute(),
                  options.node_modules.resolve())
    # SIGTERM ends the run like Ctrl-C, so that every child process is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    try:
        results = measure(tools, QUICK if options.quick else FULL)
    except BenchFailure as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; all processes that it started have ended", file=sys.stderr)
        return 130
    report(results, "quick" if options.quick else "full", options)
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presignd", type=Path, required=True, help="the release binary")
    parser.add_argument("--bench", type=Path, required=True, help="the binary presignd-bench")
    parser.add_argument("--python", type=Path, required=True, help="a Python that has boto3 and grpcio-tools")
    parser.add_argument("--node-modules", type=Path, required=True, help="directory with the node packages")
    parser.add_argument("--json", type=Path, required=True, help="file for all results")
    parser.add_argument("--table", type=Path, required=True, help="file for the table (between its markers)")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, for a rough result")
    return parser.parse_args()


def measure(tools: Tools, plan: Plan) -> Json:
    """Takes all measurements, one at a time, so that they do not disturb each other."""
    began, cpus = time.monotonic(), Cpus.of_this_machine()
    results: Json = {"machine": machine.describe()}
    say("core")
    results["core"] = run_json([str(tools.bench), "core", "--rounds", str(plan.core_rounds), "--sample",
                                str(plan.core_sample_ms)], cpus.client)
    with contextlib.ExitStack() as stack:
        ours = {"no_token": stack.enter_context(presignd(tools, False, cpus.server)),
                "token": stack.enter_context(presignd(tools, True, cpus.server))}
        bare = stack.enter_context(bare_server(tools, cpus.server))
        results["unary"] = calls.unary(tools, cpus, plan, ours, bare)
        results["throughput"] = calls.throughput(tools, cpus, plan, ours, bare)
        results["long_stream"] = calls.long_stream(tools, cpus, plan, ours["no_token"])
        results["python"] = clients.python(tools, cpus, plan, ours["no_token"], bare)
        results["node"] = clients.node(tools, cpus, plan, ours["no_token"])
    results["contention"] = contention.contention(tools, cpus, plan)
    results["memory"] = footprint.memory(tools, cpus, plan)
    results["start"] = footprint.start(tools, plan)
    results["seconds"] = time.monotonic() - began
    return results


def report(results: Json, kind: str, options: argparse.Namespace) -> None:
    """Prints the table, and writes the table and all results to their files."""
    rows = goals.rows(results)
    results |= {"kind": kind, "goals": [row.as_json() for row in rows]}
    text = table.markdown(results, rows)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=1) + "\n")
    table.write(options.table, text)
    print(text)
    say(f"done in {results['seconds']:.0f} s; all results are in {options.json}")


if __name__ == "__main__":
    sys.exit(main())
