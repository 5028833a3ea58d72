"""What things are called on the page and in the terminal."""

from __future__ import annotations

from raylab.report.names import NAMES
from raylab.report.transfer.matrix import Matrix
from raylab.stages.dataset import SeeFarData

CHANCE = 0.1  # of See-Far's ten classes
VIEWS = {
    "pooled": "all pairs",
    "off_diagonal": "different architectures",
    "within_source": "within each source",
    "within_source_off_diagonal": "within, different architectures",
}
KINDS = {
    "rand": "the new label is drawn from all classes",
    "other": "the new label is drawn from the other classes",
    "det": "the new label is the next class",
}


def heading(matrix: Matrix) -> str:
    """What tells this matrix from the others of a run: data, world, attack."""
    config = matrix.config
    words = [NAMES.get(config.data.name, config.data.name)]
    if isinstance(config.data, SeeFarData):
        mute = {"toogits": config.data.toogit_reliability, "shapes": config.data.shape_reliability}
        words += [f"a world whose {name} say nothing" for name, told in mute.items() if told <= CHANCE]
    norm = {"l2": "L2", "linf": "Linf"}[config.attack.norm]
    kept = {
        "all": "",
        "success": ", successes only",
        "failed": ", failures only",
        "top": f", the {config.keep_share:.0%} of largest margin",
        "bottom": f", all but the {config.keep_share:.0%} of largest margin",
    }[config.keep]
    return f"{', '.join(words)}: {norm} radius {config.attack.eps:g}{kept}"
