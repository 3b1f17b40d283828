#!/usr/bin/env python3
"""Measures presignd against its rivals in one run on this machine, and prints a table of ratios beside the goals.

It builds and installs nothing (`make bench` does), sends nothing but over loopback and Unix sockets, and ends whatever
it started. README.md says how to read the table.
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
    # SIGTERM unwinds as Ctrl-C does, so that every child is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    try:
        results = measure(tools, QUICK if options.quick else FULL)
    except BenchFailure as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; everything that was started has ended", file=sys.stderr)
        return 130
    report(results, "quick" if options.quick else "full", options)
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presignd", type=Path, required=True, help="the release binary")
    parser.add_argument("--bench", type=Path, required=True, help="the binary presignd-bench")
    parser.add_argument("--python", type=Path, required=True, help="a Python that has boto3 and grpcio-tools")
    parser.add_argument("--node-modules", type=Path, required=True, help="where node/package.json is installed")
    parser.add_argument("--json", type=Path, required=True, help="where everything measured is written")
    parser.add_argument("--table", type=Path, required=True, help="where the table is written; between markers, if any")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: for a first look")
    return parser.parse_args()


def measure(tools: Tools, plan: Plan) -> Json:
    """Everything, one after the other: only what is measured runs."""
    began, cpus = time.monotonic(), Cpus.of_this_machine()
    results: Json = {"machine": machine.describe()}
    say("core")
    results["core"] = run_json([str(tools.bench), "core", "--rounds", str(plan.core_rounds), "--turn",
                                str(plan.core_turn_ms)], cpus.client)
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
    """The table on stdout and in its file; everything as JSON."""
    rows = goals.rows(results)
    results |= {"kind": kind, "goals": [row.as_json() for row in rows]}
    text = table.markdown(results, rows)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=1) + "\n")
    table.write(options.table, text)
    print(text)
    say(f"done in {results['seconds']:.0f} s; everything is in {options.json}")


if __name__ == "__main__":
    sys.exit(main())
