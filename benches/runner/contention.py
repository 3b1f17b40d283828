"""A unary caller while others saturate the server with batches, against the same caller alone."""
import time

from .load import CONNECTIONS, Rival, Work, finish, load, start_idle
from .plan import Json, Plan, Tools
from .processes import Cpus, presignd, say

SATURATED = 0.85
"""From this share of the CPUs that it does not share with its clients, the server counts as saturated."""
AHEAD = 0.4
"""Seconds that the batches have before the caller begins."""


def contention(tools: Tools, cpus: Cpus, plan: Plan) -> Json:
    """On one CPU, and with as many as there are."""
    return {"one_cpu": _on(tools, cpus, plan, cpus.server), "all_cpus": _on(tools, cpus, plan, cpus.both)}


def _on(tools: Tools, cpus: Cpus, plan: Plan, server_cpus: frozenset[int]) -> Json:
    with presignd(tools, False, server_cpus) as server:
        rival = Rival("presignd", server)
        alone, beside = [], []
        for number in range(plan.rounds):
            say(f"unary beside batches, {len(server_cpus)} server CPUs, round {number + 1}")
            work = Work("unary", connections=1, seconds=plan.contention)
            alone.append(load(tools, cpus, rival, work)["measured"])
            beside.append(_beside_batches(tools, cpus, rival, work))
        shares = [each["server_cpu_share"] for each in beside]
        return {"alone": alone, "beside": beside, "saturated": min(shares) > SATURATED * len(server_cpus - cpus.client)}


def _beside_batches(tools: Tools, cpus: Cpus, rival: Rival, work: Work) -> Json:
    # The load generator warms up for 0.4 of its time and the caller for 0.25: the batches last longer than the caller.
    batches = Work("batch", connections=CONNECTIONS, seconds=work.seconds + AHEAD + 0.3)
    background = start_idle(tools, cpus, rival, batches)
    try:
        time.sleep(AHEAD)
        measured: Json = load(tools, cpus, rival, work)["measured"]
        outlasted = background.poll() is None
    finally:
        report = finish(background)["measured"]
    return measured | {"batches_outlasted_it": outlasted, "batch_urls_per_second": report["urls_per_second"]}
