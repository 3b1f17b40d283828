"""The tables, as Markdown."""
import re
from pathlib import Path

from .goals import Row
from .plan import TOKENS, Json
from .ratios import cost, median, of_rounds, rounds

BEGIN, END = "<!-- last table -->", "<!-- end of last table -->"
VERDICTS = {True: "met", False: "**not met**", None: ""}


def markdown(results: Json, rows: list[Row]) -> str:
    """All tables of a run."""
    return "\n".join([*_heading(results), "", *_goals(rows), "", *_throughput(results), "", *_latency(results), ""])


def write(path: Path, text: str) -> None:
    """Replaces the text between the markers of a file, or the whole file if it has no markers."""
    marked = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    old = path.read_text() if path.exists() else ""
    block = f"{BEGIN}\n{text}\n{END}"
    path.write_text(marked.sub(lambda _: block, old) if marked.search(old) else f"{text}\n")


def _heading(results: Json) -> list[str]:
    machine = results["machine"]
    crates = ", ".join(f"{name} {version}" for name, version in sorted(machine["crates"].items()))
    clients = ", ".join(f"{name} {version}" for document in (results["python"], results["node"])
                        for name, version in document["versions"].items())
    return [f"{machine['date']}, {results['kind']} run of commit {machine['commit']} on {machine['cpu']['model']}, "
            f"{machine['cores']} cores, Linux {machine['kernel']}, {machine['rustc']}.",
            f"Against {crates}; {clients}."]


def _goals(rows: list[Row]) -> list[str]:
    lines = [f"| {row.what} | {row.goal} | {row.measured} | {VERDICTS[row.met]} |" for row in rows]
    return ["| | goal | measured | |", "|---|---|---|---|", *lines]


def _throughput(results: Json) -> list[str]:
    lines = []
    for token in TOKENS:
        for case in ("unix/{}/1", "unix/{}/10", "unix/{}/100", "unix/{}/1000", "unix/{}/stream", "tcp/{}/1000"):
            lines.append(_throughput_line(results, case.format(token)))
    return ["| batches: transport / token / size | thousand URLs/s | server CPU per URL, µs (of it in the kernel) "
            "| ÷ bare tonic, same messages | ÷ bare tonic, strings |", "|---|---|---|---|---|", *lines]


def _throughput_line(results: Json, name: str) -> str:
    case = results["throughput"][name]
    ours = rounds(case, "presignd", "urls_per_second")
    by = [of_rounds(ours, rounds(case, target, "urls_per_second")) for target in ("bare", "echo")]
    cpu, kernel = (median(rounds(case, "presignd", f"server_{part}_us_per_url")) for part in ("cpu", "kernel"))
    return (f"| {name.replace('_', ' ')} | {1e3 / cost(results, name):.0f} | {cpu:.2f} ({kernel:.2f}) "
            f"| {by[0]:.2f}× | {by[1]:.2f}× |")


def _latency(results: Json) -> list[str]:
    lines = []
    for name, case in results["unary"].items():
        for target, label in (("presignd", "presignd"), ("echo", "bare tonic")):
            figures = " | ".join(f"{median(rounds(case, target, field)):.0f}"
                                 for field in ("p50_us", "p99_us", "p999_us", "mean_us"))
            lines.append(f"| {name.replace('_', ' ')}, {label} | {figures} |")
    for cpus, label in (("one_cpu", "one server core"), ("all_cpus", "all cores")):
        for state in ("idle", "loaded"):
            reports = results["contention"][cpus][state]
            figures = " | ".join(f"{median(report[field] for report in reports):.0f}"
                                 for field in ("p50_us", "p99_us", "p999_us", "mean_us"))
            load = "while batches run" if state == "loaded" else "idle"
            lines.append(f"| unix/no token, presignd, {label}, {load} | {figures} |")
    return ["| unary, µs | p50 | p99 | p99.9 | mean |", "|---|---|---|---|---|", *lines]
