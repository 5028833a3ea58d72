"""Somebody's network: checked, frozen while it is used, and given back as it was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from raylab.core import last_relu
from raylab.core.networks import Network, Normalise, are_probabilities, before_logits
from raylab.core.objectives import Classifier, Features
from raylab.engine.worker import fix_numerics

PROBED = 16  # images that a network is shown before anything else

FeaturesOf = Literal["penultimate"] | Callable[[Tensor], Tensor]


class Normalised(nn.Module):
    """model((x - mean) / std), by channel: a classifier of images in [0, 1] from one of normalised images.

    mean and std are in units of [0, 1], one number for each channel.  Raises ValueError where they are not.
    """

    def __init__(self, model: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        mean, std = tuple(mean), tuple(std)
        if len(mean) != len(std) or not mean:
            raise ValueError(f"Normalised: one mean and one std for each channel, got {len(mean)} and {len(std)}")
        if not all(0 <= value <= 1 for value in mean) or not all(0 < value <= 1 for value in std):
            raise ValueError(
                f"Normalised: mean in [0, 1] and std in (0, 1], in units of pixels in [0, 1], got {mean} and {std}; "
                "divide those of pixels from 0 to 255 by 255"
            )
        self.normalise, self.model = Normalise(mean, std), model

    def forward(
        self,
        x: Tensor,  # (B, C, H, W), in [0, 1]
    ) -> Tensor:
        """The logits, (B, num_classes)."""
        return self.model(self.normalise(x))  # type: ignore[no-any-return]


class _InUse(NamedTuple):
    """A network that can be attacked."""

    network: nn.Module  # in eval mode with frozen parameters
    device: str
    num_classes: int


@contextmanager
def in_use(
    model: nn.Module,
    images: Tensor,  # (N, C, H, W), checked
    *others: object,  # what is called beside it: a module is frozen too
) -> Iterator[_InUse]:
    """The model as attacks need it; afterwards, and after an exception, everything is as it was found.

    Computing is as in a stage: one thread, no denormals, deterministic kernels, no TF32.

    Raises ValueError where the model is none from images in [0, 1] to logits.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"model: an nn.Module, got {type(model).__name__}; wrap a function in one")
    device = _device(model, images)
    _check_precision(model, images)
    _check_statistics(model)
    with ExitStack() as stack:
        for module in (model, *(other for other in others if isinstance(other, nn.Module))):
            stack.enter_context(_as_found(module))
        stack.enter_context(_numerics(device))
        yield _InUse(model, device, _num_classes(model, images[:PROBED].detach().to(device)))


@dataclass(frozen=True)
class WithFeatures:
    """A classifier, and what is to be inverted of it."""

    network: Classifier
    features: Features

    def __call__(self, x: Tensor) -> Tensor:
        return self.network(x)


def with_features(network: nn.Module, features: FeaturesOf, example: Tensor) -> WithFeatures:
    """The network with its penultimate activations, or with somebody's own function of images, flattened to (B, F).

    Raises ValueError where there is no last linear layer, or the function does not give a row for each image.
    """
    if callable(features):
        _check_rows(features, example)
        given = features

        def flat(x: Tensor) -> Tensor:
            return given(x).flatten(1)

        return WithFeatures(network, flat)
    if features != "penultimate":
        raise ValueError(f'features: "penultimate" or a function of images, got {features!r}')
    if isinstance(network, Network):
        return WithFeatures(network, network.features)
    try:
        with torch.no_grad():
            before_logits(network, example)
    except ValueError as error:
        raise ValueError(f"{error}; give features as a function from images (B, C, H, W) to (B, F)") from error
    return WithFeatures(network, partial(before_logits, network))


def _check_rows(features: Features, example: Tensor) -> None:
    with torch.no_grad():
        found = features(example)
    if not isinstance(found, Tensor) or found.ndim < 2 or len(found) != len(example) or not found.is_floating_point():
        got = f"{found.dtype} of shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(
            f"features: floats, a row for each image, shape ({len(example)}, ...), got {got}; do not reduce over images"
        )


def require_relu(network: WithFeatures, example: Tensor) -> None:
    """Raises ValueError where there is no ReLU whose gradient could pass."""
    try:
        last_relu.let_through(network, example)
    except ValueError as error:
        raise ValueError(
            "identity_relu: the gradient passes the last ReLU before the features, and there is none; set "
            "identity_relu=False"
        ) from error


def _device(model: nn.Module, images: Tensor) -> str:
    """Where its first parameter or buffer is; of a network without any, where the images are."""
    return str(next(chain(model.parameters(), model.buffers(), (images,))).device)


def _check_precision(model: nn.Module, images: Tensor) -> None:
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point() and parameter.dtype != images.dtype:
            remedy = {torch.float32: "images.float()", torch.float64: "images.double()"}
            what = remedy.get(parameter.dtype, "model.float(), for perturbations vanish in fewer digits")
            raise ValueError(f"model: {name} is {parameter.dtype}, the images are {images.dtype}; call {what}")


def _check_statistics(model: nn.Module) -> None:
    """Raises ValueError where a normalisation takes its statistics from the batch, in eval mode too."""
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm) and module.running_mean is None:
            raise ValueError(
                f"model: {name} ({type(module).__name__}) keeps no running statistics, so that answers depend on the "
                "other images of its batch; train it with track_running_stats=True"
            )


def _num_classes(model: nn.Module, x: Tensor) -> int:
    """Raises ValueError where the answer is no batch of logits."""
    with torch.no_grad():
        logits = model(x)
    name = type(model).__name__
    if not isinstance(logits, Tensor):
        raise ValueError(f"model: {name} gives a {type(logits).__name__}, not a tensor; wrap it to return the logits")
    if logits.ndim != 2 or len(logits) != len(x) or logits.shape[1] < 2:
        raise ValueError(
            f"model: {name} gives {tuple(logits.shape)} for {len(x)} images, not logits of shape ({len(x)}, K) of at "
            "least 2 classes"
        )
    if not logits.isfinite().all():
        raise ValueError(f"model: the logits of {name} are not finite; look for nan in its weights")
    if are_probabilities(logits):
        raise ValueError(
            f"model: the outputs of {name} look like probabilities (at least 0, with sum 1); return the logits: remove "
            "the softmax, behind which the gradients of a confident network vanish"
        )
    return int(logits.shape[1])


@contextmanager
def _as_found(model: nn.Module) -> Iterator[None]:
    """In eval mode with frozen parameters; modes, flags, gradients and buffers are put back."""
    modes = [(module, module.training) for module in model.modules()]
    parameters = [(one, one.requires_grad, one.grad) for one in model.parameters()]
    buffers = [
        (module, name, buffer, buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    try:
        model.eval().requires_grad_(False)
        yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, requires_grad, grad in parameters:
            parameter.requires_grad_(requires_grad)
            parameter.grad = grad
        for module, name, buffer, value in buffers:
            module._buffers[name] = buffer
            with torch.no_grad():
                buffer.copy_(value)


@contextmanager
def _numerics(device: str) -> Iterator[None]:
    """Those of a stage; what the process had before is put back."""
    threads, flushed = torch.get_num_threads(), _flushes_denormals()
    deterministic, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32
    try:
        fix_numerics(device)
        if device.startswith("cuda"):  # cuBLAS reads its setting at a process' first product, which may be long past
            torch.use_deterministic_algorithms(True, warn_only=True)
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushed)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = before


def _flushes_denormals() -> bool:
    """Whether this thread does, which torch can set and not tell."""
    return bool((torch.tensor([1e-30], dtype=torch.float32) * 1e-10 == 0).item())
