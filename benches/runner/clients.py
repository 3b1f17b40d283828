"""The SDKs of Python and Node in their own processes, compared with the same work through presignd."""
import shutil

from .load import Rival, Work, answer_sizes
from .plan import BENCHES, BUCKET, OUTPOSTS, REPOSITORY, Json, Plan, Tools
from .processes import Cpus, Server, clean_environment, credentials, run_json, say


def python(tools: Tools, cpus: Cpus, plan: Plan, server: Server, bare: Server) -> Json:
    """Compares boto3 with presignd through grpcio."""
    say("Python")
    command = [str(tools.python), str(BENCHES / "python/bench.py"), *_arguments(plan, server)]
    sizes = answer_sizes(tools, cpus, Rival("presignd", server), Work("batch"))
    command += ["--bare", bare.unix, "--url-bytes", str(sizes["bare"])]
    return run_json(command, cpus.client, clean_environment() | credentials(False))


def node(tools: Tools, cpus: Cpus, plan: Plan, server: Server) -> Json:
    """Compares the AWS SDK for JavaScript with presignd through grpc-js."""
    say("Node")
    program = [shutil.which("node") or "node", "--no-warnings", str(BENCHES / "node/bench.cjs")]
    environment = clean_environment() | credentials(False) | {"NODE_PATH": str(tools.node_modules)}
    return run_json([*program, *_arguments(plan, server)], cpus.client, environment)


def _arguments(plan: Plan, server: Server) -> list[str]:
    return ["--socket", server.unix, "--proto", str(REPOSITORY / "proto"), "--rounds", str(plan.client_rounds),
            "--bucket", BUCKET, "--outposts", OUTPOSTS]
