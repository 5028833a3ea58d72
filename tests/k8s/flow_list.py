"""The flows that each place lets through: the list that the rules must give, no more and no less."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from k8s.flows import End, Port, flows
from k8s.pods import pods

TCP = (22, 53, 80, 443, 5000, 5001, 5432, 6379, 6443, 8080, 8265, 9090, 10001, 44217, 44227, 52365)
PORTS = [*(Port("TCP", number) for number in TCP), Port("UDP", 53), Port("UDP", 123)]

# Who else there is. "stranger" has no labels; "neighbour" is a Pod of someone else's namespace that calls itself a
# Ray node.
OUTSIDE = [
    End("dns", "kube-system", {"k8s-app": "kube-dns"}),
    End("operator", "kuberay-system", {"app.kubernetes.io/name": "kuberay-operator"}),
    End("prometheus", "monitoring", {"app.kubernetes.io/name": "prometheus"}),
    End("stranger", "raylab"),
    # Pods of the namespace of runs with the labels of others: the code of an autoscaling head may set them.
    End("disguised", "raylab", {"app.kubernetes.io/name": "raylab-mlflow"}),
    End("stranger beside mlflow", "raylab-mlflow"),
    End("neighbour", "default", {"ray.io/is-ray-node": "yes", "ray.io/node-type": "head"}),
    End("internet", address="93.184.216.34"),
    End("metadata", address="169.254.169.254"),
    End("dns of the node", address="169.254.20.10"),
    End("database", address="10.20.30.40"),
    End("api server", address="172.20.0.1"),
]

STRANGERS = ("stranger", "disguised", "stranger beside mlflow")
EVERYWHERE = {
    *(
        f"{pod} -> {server} {protocol}/53"
        for pod in ("head", "worker", "submitter", "mlflow", *STRANGERS)
        for server in ("dns", "dns of the node")
        for protocol in ("TCP", "UDP")
    ),
    "head -> worker all",
    "worker -> head all",
    "submitter -> head TCP/8265",
    "operator -> head TCP/8265",
    "head -> mlflow TCP/5000",
}
ADDRESSES = ("internet", "database", "api server")
# The rule of the object store and that of the database speak of addresses, which may be anybody's.
OBJECT_STORE = {f"{pod} -> {address} TCP/443" for pod in ("head", "worker", "mlflow") for address in ADDRESSES}
DATABASE = {f"mlflow -> {target} TCP/5432" for target in ADDRESSES[1:]}
METRICS = {f"prometheus -> {pod} TCP/{port}" for pod in ("head", "worker") for port in (8080, 44217, 44227)}
PRODUCTION = EVERYWHERE | OBJECT_STORE | DATABASE | METRICS
# The API server cannot be named (k8s/components/platform/autoscaler/network.yaml): the head may ask anyone outside on
# its ports; of the Pods of these namespaces none takes that.
AUTOSCALER = {
    f"head -> {target} TCP/{port}"
    for target in (*ADDRESSES, "metadata", "dns", "dns of the node", "operator", "prometheus", "neighbour")
    for port in (443, 6443)
}
EXPECTED = {"small": EVERYWHERE, "gpu-autoscaled": PRODUCTION | AUTOSCALER, "kueue": PRODUCTION}


def computed(objects: list[dict[str, Any]]) -> set[str]:
    """Without what Pods outside say among themselves, which is not ours to rule."""
    ours = [End(pod.name, pod.namespace, pod.labels, ports=pod.ports()) for pod in pods(objects)]
    policies = [each for each in objects if each["kind"] == "NetworkPolicy"]
    inside = {end.name for end in ours} | {*STRANGERS}
    return {
        flow
        for flow in flows(policies, [*ours, *OUTSIDE], PORTS)
        if {flow.split(" -> ")[0], flow.split(" -> ")[1].rpartition(" ")[0]} & inside
    }


def problems(objects: list[dict[str, Any]], place: str) -> Iterator[str]:
    found, expected = computed(objects), EXPECTED[place]
    yield from (f"NetworkPolicy: {flow} is needed and not let through" for flow in sorted(expected - found))
    yield from (f"NetworkPolicy: {flow} is let through and not in the list" for flow in sorted(found - expected))
