"""A Ray cluster of two nodes on this machine, as a program: one JSON line per command read from its input.

    where REWARD    its replicas and the nodes they are on, as {"nodes": {replica: node}}
    remove          takes the second node away, with everything on it

It begins with {"address": ...} and ends, with the cluster, at the end of its input.
"""

from __future__ import annotations

import json
import sys

import ray
from ray._private import state
from ray.cluster_utils import Cluster

NODE = {"num_cpus": 2, "object_store_memory": 128 << 20}
ROOM = {"place": 2}  # for as many replicas that ask for it


def main() -> None:
    cluster = Cluster(initialize_head=True, head_node_args=NODE | {"resources": ROOM} | {"include_dashboard": False})
    second = cluster.add_node(**NODE, resources=ROOM)
    ray.init(cluster.address, log_to_driver=False)
    tell(address=cluster.address)
    try:
        for line in sys.stdin:
            match line.split():
                case ["where", reward]:
                    tell(nodes=nodes(reward))
                case ["remove"]:
                    cluster.remove_node(second)
                    tell(removed=True)
                case _:
                    raise SystemExit(f"no such command: {line!r}")
    finally:
        ray.shutdown()
        cluster.shutdown()


def nodes(reward: str) -> dict[str, str]:
    actors = state.actors().values()
    alive = [a for a in actors if a["State"] == "ALIVE" and f"{reward}#" in (a["Name"] or "")]
    return {a["Name"]: a["Address"]["NodeID"] for a in alive}


def tell(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    main()
