"""What gradients are taken of: a network as it was trained, or compiled for attack."""

from __future__ import annotations

from raylab.core.later import compiled, networks, torch
from raylab.engine.artifact import Artifact
from raylab.engine.stage import Reduced, Stage
from raylab.stages.architecture import Factory

PRECISIONS: dict[Reduced, compiled.Precision] = {"folded_float32": "float32", "bfloat16": "bfloat16"}
EXAMPLES = 4  # images on which a network and what became of it are compared


def attacked(
    network: networks.Network, artifact: Artifact, precision: Reduced | None
) -> networks.Network | compiled.Compiled:
    """The network of an artifact, or what it is compiled to: once a process, when a stage is opened.  What is measured
    of a finished image is measured of the network itself."""
    if precision is None:
        return network
    shape = tuple(artifact.config["images"]["shape"])
    example = torch.rand(EXAMPLES, *shape, generator=torch.Generator().manual_seed(0))
    return compiled.compiled(network, example.to(next(network.parameters()).device), PRECISIONS[precision])


def check_precision(precision: Reduced | None, *models: Stage) -> None:
    """Raises ValueError where a network of one's own would be compiled: what is known of it is its call alone."""
    for model in models:
        own = getattr(model.config, "network", None)
        if precision is not None and isinstance(own, Factory):
            raise ValueError(
                f"compute.precision: {own.factory} is a network of your own, which is attacked as it is, got "
                f"{precision}; remove it"
            )
