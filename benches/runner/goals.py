"""The goals, and whether a run met them."""
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from .plan import TOKENS, Json
from .ratios import cost, every, median, of_rounds, rounds

MIB = 1024
FLAT = 1.1
"""The largest ratio that counts as flat."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    goal: str
    measured: str
    met: bool | None

    def as_json(self) -> Json:
        return asdict(self)


def rows(results: Json) -> list[Row]:
    """All rows of the table, in order."""
    return [*_core(results), *_sigv4a(results), *_batch(results), *_unary(results), *_contention(results),
            *_clients(results), *_flat(results), *_footprint(results)]


def at_most(what: str, measured: float, goal: float, unit: str = "×") -> Row:
    """A row with a maximum as its goal."""
    return Row(what, f"≤ {goal:g}{unit}", f"{measured:.2f}{unit}", measured <= goal)


def at_least(what: str, measured: float, goal: float, note: str = "") -> Row:
    """A row with a minimum as its goal."""
    return Row(what, f"≥ {goal:g}×", f"{measured:.2f}×{note}", measured >= goal)


def shown(what: str, measured: str) -> Row:
    """A row without a goal."""
    return Row(what, "", measured, None)


def _core(results: Json) -> Iterator[Row]:
    for token in TOKENS:
        signers = results["core"][token]["signers"]

        def ratio(above: str, below: str, signers: Json = signers) -> float:
            return of_rounds(signers[above]["rounds_ns"], signers[below]["rounds_ns"])

        said = _said(token)
        yield at_most(f"core: time per URL, presignd ÷ hash floor, {said}", ratio("presignd", "floor"), 1.6)
        yield at_least(f"core: time per URL, rusty-s3 ÷ presignd, {said}", ratio("rusty_s3", "presignd"), 6)
        yield at_least(f"core: time per URL, aws-sigv4 ÷ presignd, {said}", ratio("aws_sigv4", "presignd"), 9)
        # Shows whether even the hash floor could meet the goal.
        best = f" (hash floor: {ratio('aws_sdk', 'floor'):.0f}×)"
        yield at_least(f"core: time per URL, aws-sdk-s3 ÷ presignd, {said}", ratio("aws_sdk", "presignd"), 45, best)
        counted = (ratio("presignd_counted", "presignd") - 1) * 100
        yield at_most(f"metrics: time added to the core per URL, {said}", counted, 5, " %")
        unary = ratio("presignd_unary", "floor")
        yield shown(f"core: time for a single URL, presignd ÷ hash floor, {said}", f"{unary:.2f}×")
        for rival, algorithm in (("aws_sdk_outposts", "SigV4"), ("aws_sdk_outposts_default", "by default SigV4A")):
            outposts = ratio(rival, "presignd_outposts")
            yield shown(f"core: time per URL, aws-sdk-s3 ÷ presignd, Outposts, {algorithm}, {said}",
                        f"{outposts:.2f}×")
        yield shown(f"core: time per URL, object_store ÷ presignd, {said}", f"{ratio('object_store', 'presignd'):.2f}×")


def _sigv4a(results: Json) -> Iterator[Row]:
    for token in TOKENS:
        signers = results["core"][token]["sigv4a"]
        ratio = of_rounds(signers["aws_sigv4"]["rounds_ns"], signers["presignd"]["rounds_ns"])
        yield shown(f"core, SigV4A: time per URL, aws-sigv4 ÷ presignd, {_said(token)}", f"{ratio:.2f}×")


def _batch(results: Json) -> Iterator[Row]:
    for token in TOKENS:
        said, case = _said(token), results["throughput"][f"unix/{token}/1000"]
        sdk = results["core"][token]["signers"]["aws_sdk"]["median_ns"] / 1e3
        yield at_least(f"batch, one server core: URLs/s, presignd ÷ aws-sdk-s3 in process, {said}",
                       sdk / cost(results, f"unix/{token}/1000"), 15)
        ours = rounds(case, "presignd", "urls_per_second")
        by_bare = of_rounds(ours, rounds(case, "bare", "urls_per_second"))
        yield at_least(f"batch, one server core: URLs/s, presignd ÷ bare tonic with the same messages, {said}",
                       by_bare, 0.6)
        by_text = of_rounds(ours, rounds(case, "echo", "urls_per_second"))
        yield shown(f"batch, one server core: URLs/s, presignd ÷ bare tonic with strings, {said}", f"{by_text:.2f}×")


def _unary(results: Json) -> Iterator[Row]:
    for name, case in results["unary"].items():
        transport, token = name.split("/")
        said = f"{transport}, {_said(token)}"
        for field, label, goal in (("p50_us", "p50", 1.15), ("p99_us", "p99", 1.5)):
            ratio = of_rounds(rounds(case, "presignd", field), rounds(case, "echo", field))
            yield at_most(f"unary {label}, presignd ÷ bare tonic, {said}", ratio, goal)
        ratio = of_rounds(rounds(case, "presignd", "p999_us"), rounds(case, "echo", "p999_us"))
        yield shown(f"unary p99.9, presignd ÷ bare tonic, {said}", f"{ratio:.2f}×")


def _contention(results: Json) -> Iterator[Row]:
    for name, cores, goal in (("one_cpu", "one core", 3), ("all_cpus", "all cores", 4)):
        case = results["contention"][name]
        ratio = of_rounds(every(case["loaded"], "p99_us"), every(case["idle"], "p99_us"))
        # Without saturation the row says nothing.
        note = "" if case["saturated"] else " (the server was NOT saturated)"
        yield at_most(f"unary p99, while batches run ÷ idle, server on {cores}{note}", ratio, goal)


def _clients(results: Json) -> Iterator[Row]:
    python, node = results["python"]["us_per_url"], results["node"]["us_per_url"]
    for name in ("bucket", "outposts"):
        ours, best = (of_rounds(python[f"sdk_{name}"], python[other]) for other in (f"presignd_{name}", "bare"))
        yield at_least(f"Python: time per URL, boto3 in process ÷ presignd, {name}", ours, 100,
                       f" (through bare tonic: {best:.0f}×)")
    ratio = of_rounds(node["sdk_bucket"], node["presignd_bucket"])
    yield shown("Node: time per URL, AWS SDK in process ÷ presignd, bucket", f"{ratio:.2f}×")


def _flat(results: Json) -> Iterator[Row]:
    stream, hundred = results["long_stream"], cost(results, "unix/no_token/100")
    yield shown("time per URL: batches of 1 ÷ batches of 100", f"{cost(results, 'unix/no_token/1') / hundred:.2f}×")
    yield at_most("time per URL: batches of 1,000 ÷ batches of 100", cost(results, "unix/no_token/1000") / hundred,
                  FLAT)
    yield at_most(f"time per URL: a stream of {stream['urls']:,} ÷ batches of 100", stream["us_per_url"] / hundred,
                  FLAT)
    memory = stream["resident_kib"]
    yield at_most("memory in that stream: late ÷ early", memory["late"] / memory["early"], FLAT)


def _footprint(results: Json) -> Iterator[Row]:
    memory, start = results["memory"], results["start"]
    yield at_most("start: from process to ready, median", median(start["milliseconds"]), 20, " ms")
    yield at_most("memory idle", memory["idle_kib"] / MIB, 20, " MiB")
    yield at_most(f"memory at the peak of full batch load, {memory['connections']} connections",
                  memory["peak_kib"] / MIB, 64, " MiB")
    yield shown("memory after that load", f"{memory['later_kib'] / MIB:.2f} MiB")
    yield at_most("binary", start["binary_bytes"] / 1e6, 15, " MB")


def _said(token: str) -> str:
    return "no token" if token == "no_token" else "800-byte token"
