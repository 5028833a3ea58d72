"""raylab: a laboratory on Ray for the question "are adversarial examples bugs or features?".

    made = raylab.construct("det", model, images, labels, eps=0.5, norm="l2", steps=100, step_size=0.1, seed=0)

`model` is any nn.Module from images (B, C, H, W) in [0, 1] to logits. These functions ask for no config, store, Ray or
MLflow, and what they need is imported when one of them is first named: importing raylab costs nothing.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = [
    "Normalised",
    "attack",
    "construct",
    "invert",
    "open_store",
    "robust_accuracy",
    "spectrum",
    "transfer",
]

if TYPE_CHECKING:
    from raylab.api.attacks import attack, robust_accuracy, transfer
    from raylab.api.fourier import spectrum
    from raylab.api.model import Normalised
    from raylab.api.sets import construct, invert
    from raylab.api.store import open_store
else:
    _PLACES = {
        "Normalised": "model",
        "attack": "attacks",
        "construct": "sets",
        "invert": "sets",
        "open_store": "store",
        "robust_accuracy": "attacks",
        "spectrum": "fourier",
        "transfer": "attacks",
    }

    def __getattr__(name: str) -> object:
        """PEP 562."""
        from importlib import import_module

        if name not in _PLACES:
            raise AttributeError(f"module raylab has no attribute {name!r}; it has {', '.join(__all__)}")
        return getattr(import_module(f"raylab.api.{_PLACES[name]}"), name)

    def __dir__() -> list[str]:
        return sorted([*globals(), *__all__])
