"""The goals of the issue, and what of them was reached in a run."""
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from .plan import TOKENS, Json
from .ratios import cost, every, median, of_rounds, rounds

MIB = 1024
FLAT = 1.1
"""What counts as flat: a tenth more at most."""


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
    """All of them, in the order of the issue."""
    return [*_core(results), *_sigv4a(results), *_batch(results), *_unary(results), *_contention(results),
            *_clients(results), *_flat(results), *_footprint(results)]


def at_most(what: str, measured: float, goal: float, unit: str = "×") -> Row:
    """A row whose number should be small."""
    return Row(what, f"≤ {goal:g}{unit}", f"{measured:.2f}{unit}", measured <= goal)


def at_least(what: str, measured: float, goal: float, note: str = "") -> Row:
    """A row whose number should be large."""
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
        yield at_most(f"core: its time by the hash floor's, {said}", ratio("ours", "floor"), 1.6)
        yield at_least(f"core: rusty-s3's time by ours, {said}", ratio("rusty_s3", "ours"), 6)
        yield at_least(f"core: aws-sigv4's time by ours, {said}", ratio("aws_sigv4", "ours"), 9)
        # Where even the hash floor does not reach the goal, that has to be seen.
        best = f" (the hash floor: {ratio('aws_sdk', 'floor'):.0f}×)"
        yield at_least(f"core: aws-sdk-s3's time by ours, {said}", ratio("aws_sdk", "ours"), 45, best)
        counted = (ratio("ours_counted", "ours") - 1) * 100
        yield at_most(f"metrics: what they add to the core's time, {said}", counted, 5, " %")
        unary = ratio("ours_unary", "floor")
        yield shown(f"core: its time for a single URL by the hash floor's, {said}", f"{unary:.2f}×")
        for rival, algorithm in (("aws_sdk_outposts", "SigV4"), ("aws_sdk_outposts_default", "by default SigV4A")):
            outposts = ratio(rival, "ours_outposts")
            yield shown(f"core: aws-sdk-s3's time by ours, Outposts, {algorithm}, {said}", f"{outposts:.2f}×")
        yield shown(f"core: object_store's time by ours, {said}", f"{ratio('object_store', 'ours'):.2f}×")


def _sigv4a(results: Json) -> Iterator[Row]:
    for token in TOKENS:
        signers = results["core"][token]["sigv4a"]
        ratio = of_rounds(signers["aws_sigv4"]["rounds_ns"], signers["ours"]["rounds_ns"])
        yield shown(f"core, SigV4A: aws-sigv4's time by ours, {_said(token)}", f"{ratio:.2f}×")


def _batch(results: Json) -> Iterator[Row]:
    for token in TOKENS:
        said, case = _said(token), results["throughput"][f"unix/{token}/1000"]
        sdk = results["core"][token]["signers"]["aws_sdk"]["median_ns"] / 1e3
        yield at_least(f"batch, one server core: URLs/s by aws-sdk-s3's in process, {said}",
                       sdk / cost(results, f"unix/{token}/1000"), 15)
        ours = rounds(case, "presignd", "urls_per_second")
        by_bare = of_rounds(ours, rounds(case, "bare", "urls_per_second"))
        yield at_least(f"batch, one server core: URLs/s by bare tonic's, the same messages, {said}", by_bare, 0.6)
        by_text = of_rounds(ours, rounds(case, "echo", "urls_per_second"))
        yield shown(f"the same, by bare tonic's with texts of that size, {said}", f"{by_text:.2f}×")


def _unary(results: Json) -> Iterator[Row]:
    for name, case in results["unary"].items():
        transport, token = name.split("/")
        said = f"{transport}, {_said(token)}"
        for field, label, goal in (("p50_us", "p50", 1.15), ("p99_us", "p99", 1.5)):
            ratio = of_rounds(rounds(case, "presignd", field), rounds(case, "echo", field))
            yield at_most(f"unary {label} by bare tonic's, {said}", ratio, goal)
        ratio = of_rounds(rounds(case, "presignd", "p999_us"), rounds(case, "echo", "p999_us"))
        yield shown(f"unary p99.9 by bare tonic's, {said}", f"{ratio:.2f}×")


def _contention(results: Json) -> Iterator[Row]:
    for name, cores, goal in (("one_cpu", "one core", 3), ("all_cpus", "all cores", 4)):
        case = results["contention"][name]
        ratio = of_rounds(every(case["beside"], "p99_us"), every(case["alone"], "p99_us"))
        # A caller who meets an idle server shows nothing.
        note = "" if case["saturated"] else " (the server was NOT saturated)"
        yield at_most(f"unary p99 while batches run, by idle, server on {cores}{note}", ratio, goal)


def _clients(results: Json) -> Iterator[Row]:
    python, node = results["python"]["us_per_url"], results["node"]["us_per_url"]
    for name in ("bucket", "outposts"):
        ours, best = (of_rounds(python[f"sdk_{name}"], python[other]) for other in (f"presignd_{name}", "bare"))
        yield at_least(f"Python: boto3's time in process by that through presignd, {name}", ours, 100,
                       f" (through bare tonic: {best:.0f}×)")
    ratio = of_rounds(node["sdk_bucket"], node["presignd_bucket"])
    yield shown("Node: the SDK's time in process by that through presignd, bucket", f"{ratio:.2f}×")


def _flat(results: Json) -> Iterator[Row]:
    stream, hundred = results["long_stream"], cost(results, "unix/no_token/100")
    yield shown("cost of a URL: batches of 1 by batches of 100", f"{cost(results, 'unix/no_token/1') / hundred:.2f}×")
    yield at_most("cost of a URL: batches of 1,000 by batches of 100", cost(results, "unix/no_token/1000") / hundred,
                  FLAT)
    yield at_most(f"cost of a URL: a stream of {stream['urls']:,} by batches of 100", stream["us_per_url"] / hundred,
                  FLAT)
    memory = stream["resident_kib"]
    yield at_most("memory late in that stream by early in it", memory["late"] / memory["early"], FLAT)


def _footprint(results: Json) -> Iterator[Row]:
    memory, start = results["memory"], results["start"]
    yield at_most("start: process to ready, median", median(start["milliseconds"]), 20, " ms")
    yield at_most("memory idle", memory["idle_kib"] / MIB, 20, " MiB")
    yield at_most(f"memory at the peak of full batch load, {memory['connections']} connections",
                  memory["peak_kib"] / MIB, 64, " MiB")
    yield shown("memory after it", f"{memory['later_kib'] / MIB:.2f} MiB")
    yield at_most("binary", start["binary_bytes"] / 1e6, 15, " MB")


def _said(token: str) -> str:
    return "no token" if token == "no_token" else "800-byte token"
