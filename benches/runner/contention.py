"""The latency of a unary client while other clients saturate the server with batches, and on an idle server."""
import time

from .load import CONNECTIONS, Rival, Work, finish, load, start_idle
from .plan import Json, Plan, Tools
from .processes import Cpus, presignd, say

SATURATED = 0.85
"""The server counts as saturated from this share of the CPUs that it does not share with its clients."""
AHEAD = 0.4
"""Seconds that the batches run before the unary client starts."""


def contention(tools: Tools, cpus: Cpus, plan: Plan) -> Json:
    """Measures with the server on one CPU, and with the server on both CPUs."""
    return {"one_cpu": _on(tools, cpus, plan, cpus.server), "all_cpus": _on(tools, cpus, plan, cpus.both)}


def _on(tools: Tools, cpus: Cpus, plan: Plan, server_cpus: frozenset[int]) -> Json:
    with presignd(tools, False, server_cpus) as server:
        rival = Rival("presignd", server)
        idle, loaded = [], []
        for number in range(plan.rounds):
            say(f"unary during batches, {len(server_cpus)} server CPUs, round {number + 1}")
            work = Work("unary", connections=1, seconds=plan.contention)
            idle.append(load(tools, cpus, rival, work)["measured"])
            loaded.append(_measure_during_batches(tools, cpus, rival, work))
        shares = [each["server_cpu_share"] for each in loaded]
        return {"idle": idle, "loaded": loaded, "saturated": min(shares) > SATURATED * len(server_cpus - cpus.client)}


def _measure_during_batches(tools: Tools, cpus: Cpus, rival: Rival, work: Work) -> Json:
    # The batches warm up for 0.4 of their time and the unary client for 0.25: the batches end after the unary client.
    batches = Work("batch", connections=CONNECTIONS, seconds=work.seconds + AHEAD + 0.3)
    background = start_idle(tools, cpus, rival, batches)
    try:
        time.sleep(AHEAD)
        measured: Json = load(tools, cpus, rival, work)["measured"]
        running = background.poll() is None
    finally:
        report = finish(background)["measured"]
    return measured | {"batches_ran_until_the_end": running, "batch_urls_per_second": report["urls_per_second"]}
