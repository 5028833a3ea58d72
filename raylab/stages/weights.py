"""The weights of a network in its artifact: whoever makes a network writes them, and `load_network` brings it back."""

from __future__ import annotations

import io
from typing import Any

from raylab.core.later import networks, torch
from raylab.engine.artifact import Artifact
from raylab.engine.stage import TaskContext
from raylab.stages import architecture
from raylab.stages.images import ImageSpec

WEIGHTS = "weights.pt"


def keep_weights(network: networks.Network, context: TaskContext) -> None:
    """Those of a network from elsewhere, in one layout whatever that of its file is, for `load_network`."""
    context.write(WEIGHTS, pack({name: tensor.contiguous() for name, tensor in network.state_dict().items()}), None)


def load_network(artifact: Artifact, device: str) -> networks.Network:
    """The network of an artifact: on `device`, in eval mode, with frozen parameters, ready to be attacked."""
    config = artifact.config
    images: dict[str, Any] = {n: tuple(of) if isinstance(of, list) else of for n, of in config["images"].items()}
    network = architecture.build(config["network"], ImageSpec(**images), seed=0)
    network.load_state_dict(unpack(artifact.read(WEIGHTS)))
    return network.to(device).eval().requires_grad_(False)


def pack(state: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def unpack(data: bytes) -> Any:
    return torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
