"""presignd compared with the bare server: latency, and throughput by batch size."""
from dataclasses import replace

from .load import Rival, Work, answer_sizes, load
from .plan import Json, Plan, Tools
from .processes import Cpus, Server, say

SIZES = (1, 10, 100, 1000)


def unary(tools: Tools, cpus: Cpus, plan: Plan, ours: dict[str, Server], bare: Server) -> Json:
    """Measures the latency of sequential calls on one connection."""
    cases = {f"{transport}/{token}": (token, Work("unary", transport, connections=1, seconds=plan.unary))
             for transport in ("unix", "tcp") for token in ours}
    return {name: alternate(tools, cpus, plan, rivals(ours[token], bare, ("presignd", "echo")), work, name)
            for name, (token, work) in cases.items()}


def throughput(tools: Tools, cpus: Cpus, plan: Plan, ours: dict[str, Server], bare: Server) -> Json:
    """Measures the throughput of sequential batches and of streams."""
    results: Json = {}
    for token, server in ours.items():
        field = rivals(server, bare, ("presignd", "bare", "echo"))
        batch = Work("batch", seconds=plan.throughput)
        cases = {f"unix/{token}/{size}": replace(batch, items=size) for size in SIZES}
        cases[f"tcp/{token}/1000"] = replace(batch, transport="tcp")
        cases[f"unix/{token}/stream"] = replace(batch, mode="stream", connections=1)
        for name, work in cases.items():
            results[name] = alternate(tools, cpus, plan, field, work, name)
    return results


def long_stream(tools: Tools, cpus: Cpus, plan: Plan, server: Server) -> Json:
    """Measures millions of keys in one stream: the cost per key, and whether memory grows."""
    say(f"stream of {plan.streamed:,} keys")
    work = Work("stream", connections=1, count=plan.streamed)
    measured: Json = load(tools, cpus, Rival("presignd", server), work)["measured"]
    return measured


def rivals(ours: Server, bare: Server, targets: tuple[str, ...]) -> list[Rival]:
    """presignd, and the bare server once for each of its targets."""
    return [Rival(target, ours if target == "presignd" else bare) for target in targets]


def alternate(tools: Tools, cpus: Cpus, plan: Plan, field: list[Rival], work: Work, name: str) -> Json:
    """Measures every rival once per round; the order rotates from round to round."""
    say(f"{work.mode} {name}")
    sizes = answer_sizes(tools, cpus, field[0], work)
    reports: dict[str, list[Json]] = {rival.target: [] for rival in field}
    for number in range(plan.rounds):
        for offset in range(len(field)):
            rival = field[(number + offset) % len(field)]
            sized = replace(work, answer_bytes=sizes[rival.target])
            reports[rival.target].append(load(tools, cpus, rival, sized))
    return {target: {"request_bytes": each[0]["request_bytes"], "answer_bytes": each[0]["answer_bytes"],
                     "rounds": [report["measured"] for report in each]} for target, each in reports.items()}
