"""The card of a data set, from its manifest: how it was made, from what, and whose images it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from raylab.config import as_yaml
from raylab.engine.artifact import Artifact

CITATION = """@inproceedings{ilyas2019adversarial,
  title = {Adversarial Examples Are Not Bugs, They Are Features},
  author = {Ilyas, Andrew and Santurkar, Shibani and Tsipras, Dimitris and Engstrom, Logan and Tran, Brandon and
            Madry, Aleksander},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2019}
}"""
# Of the images that a set was made from: what their authors say, and the hub's word for it.
LICENCES: Mapping[str, tuple[str, str]] = {
    "digits": ("CC BY 4.0 (UCI, Optical Recognition of Handwritten Digits)", "cc-by-4.0"),
    "seefar": ("Apache 2.0: synthetic images of raylab", "apache-2.0"),
    "mnist": ("CC BY-SA 3.0 (LeCun, Cortes and Burges)", "cc-by-sa-3.0"),
    "fashion_mnist": ("MIT (Zalando Research)", "mit"),
}
UNKNOWN = "not stated by {name}: ask its authors before you pass the set on"
TOWARDS = {
    "det": "the class after its own, y + 1",
    "rand": "a class drawn uniformly from all",
    "other": "a class drawn uniformly from the others",
    "own": "its own class",
}
EXACT = "Images are float32 in [0, 1], as they were made: rounding them to 8 bits may destroy what was added."
ROUNDED = "Images were rounded to 8 bits after they were made, to multiples of 1/255; the digest is that of before."
CONTROLS = (
    "What a student learns from such a set proves nothing alone. Train beside it: the unperturbed images under the "
    "same labels, a set made with an untrained and one with an adversarially trained source; and where the target is "
    "the next class, count the test images that the student calls y + 1. `raylab run transfer_matrix` does all of it."
)


def card(
    artifact: Artifact,
    find: Callable[[str], Artifact | None],  # by key: what it was made from
    split: str,
    rounded: bool = False,  # to 8 bits, as they were written
) -> str:
    """Markdown, with the head that the Hugging Face hub reads."""
    origin = _origin(artifact, find)
    licence, word = LICENCES.get(origin, (UNKNOWN.format(name=origin or "the origin"), "other"))
    head = {
        "license": word,
        "task_categories": ["image-classification"],
        "configs": [{"config_name": "default", "data_files": [{"split": split, "path": f"data/{split}-*"}]}],
    }
    parts = [
        f"---\n{as_yaml(head)}---",
        f"# {_called(artifact)}",
        f"{_how(artifact, find)} {ROUNDED if rounded else EXACT}",
        _facts(artifact),
        "## Made from\n\n" + "\n".join(_lineage(artifact, find)),
        *([f"## Controls\n\n{CONTROLS}"] if artifact.manifest["kind"] == "constructed" else []),
        f"## Licence of the images it was made from\n\n{licence}",
        f"## Identity\n\n```yaml\n{as_yaml({'config': artifact.manifest['config']})}```",
        f"## Source\n\n```bibtex\n{CITATION}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def class_names(artifact: Artifact, find: Callable[[str], Artifact | None]) -> tuple[str, ...]:
    """Of the data set at the root; () where it says none."""
    root = _root(artifact, find)
    names = root.metrics.get("class_names") if root else None
    return tuple(map(str, names)) if names else ()


def _how(artifact: Artifact, find: Callable[[str], Artifact | None]) -> str:
    made, config = artifact.manifest, artifact.config
    if made["kind"] == "constructed":
        attack = config["attack"]
        size = attack["step_size"] or 2.5 * attack["eps"] / attack["steps"]
        aim = config["aim"]
        what = "away from its class, whose label it keeps" if aim == "untargeted" else f"towards {TOWARDS[aim]}"
        label = "" if aim == "untargeted" else ", and is labelled with that class"
        return (
            f"Every image was pushed {what}, in the eyes of {_network(artifact, find)}{label} (Ilyas et al. 2019, "
            f"section 3.2): {attack['steps']} steps of projected gradient descent of length {size:g} in the "
            f"{attack['norm']} ball of radius {attack['eps']:g} around it, in units of pixels in [0, 1]."
        )
    if made["kind"] == "inverted":
        inversion = config["inversion"]
        return (
            f"Every image was rebuilt from the penultimate features that {_network(artifact, find)} gives it, from an "
            f"unrelated start ({inversion['start']}), by {inversion['steps']} normalised gradient steps; it keeps the "
            "label (Ilyas et al. 2019, section 3.1)."
        )
    return f"An artifact of raylab, of kind {made['kind']}, version {made['version']}."


def _network(artifact: Artifact, find: Callable[[str], Artifact | None]) -> str:
    source = find(str(artifact.manifest["inputs"].get("model", "")))
    if source is None:
        return "a network that is not at hand"
    recipe = source.config.get("recipe") or {}
    trained = "an adversarially trained" if recipe.get("adversary") else "a standard"
    how = trained if recipe.get("epochs", 1) else "an untrained"
    return f"{how} {architecture(source.config) or source.manifest['kind']} ({_called(source)})"


def architecture(config: Mapping[str, Any]) -> str:
    """Of a network's config: its name in the table, or the factory of somebody's own; "" where there is none."""
    network = config.get("network", "")
    return str(network["factory"] if isinstance(network, Mapping) else network)


def _called(artifact: Artifact) -> str:
    return str(artifact.manifest["name"] or artifact.manifest["kind"])


def _facts(artifact: Artifact) -> str:
    made, metrics = artifact.manifest, artifact.metrics
    rows = {
        "images": artifact.rows,
        "attack success rate": metrics.get("success"),
        "median relative residual": metrics.get("residual_median"),
        "warnings": "; ".join((*metrics.get("warnings", ()), *metrics.get("doubts", ()))) or None,
        "key": artifact.key,
        "digest": artifact.digest,
        "finished": made["provenance"].get("finished"),
        "commit of raylab": made["provenance"].get("commit"),
    }
    lines = [f"| {name} | {value} |" for name, value in rows.items() if value is not None]
    return "\n".join(["| | |", "|---|---|", *lines])


def _lineage(artifact: Artifact, find: Callable[[str], Artifact | None], depth: int = 0) -> Iterator[str]:
    """What it was made from, and that from what."""
    for role, key in artifact.manifest["inputs"].items():
        found = find(key)
        said = (
            f"{found.manifest['name'] or found.manifest['kind']}, digest `{found.digest}`" if found else "not at hand"
        )
        yield f"{'  ' * depth}- {role}: {said}, key `{key}`"
        if found is not None:
            yield from _lineage(found, find, depth + 1)


def _root(artifact: Artifact, find: Callable[[str], Artifact | None]) -> Artifact | None:
    """The raw data that it was made from."""
    found: Artifact | None = artifact
    while found is not None and found.manifest["kind"] != "data":
        found = find(str(found.manifest["inputs"].get("data", "")))
    return found


def _origin(artifact: Artifact, find: Callable[[str], Artifact | None]) -> str:
    root = _root(artifact, find)
    data: Mapping[str, Any] = root.config.get("data", {}) if root else {}
    return str(data.get("name", ""))
