"""What robust and non-robust sets say about rows 7 to 14 and 33."""

from __future__ import annotations

from collections.abc import Iterator

from raylab.core.statistics import Estimate, over_seeds
from raylab.engine.stage import Compute
from raylab.experiments.robust.config import SetName
from raylab.experiments.robust.measure import MeasuredNetwork, RobustSets
from raylab.experiments.robust.plan import ADVERSARIAL, CLEAN, STANDARD
from raylab.report.per_seed import PerSeed
from raylab.scoreboard import recipes
from raylab.scoreboard.evidence import Evidence, measured
from raylab.scoreboard.protocol import NORMS, differing, named, of_data, of_networks, of_precision, same_radius
from raylab.scoreboard.recipes import at_rate, of_recipes
from raylab.stages.inversion import Inversion
from raylab.stages.recipe import Recipe

QUARTER, HALF = 0.25, 0.5  # the radii of the paper
LINF = 8 / 255
FULL_TEST = 10_000  # images of CIFAR-10 that the published networks were attacked on
PGD_STEPS = 20  # at least; MadryLab/robustness gives 20 and 100
# Appendix C.4; of what is not stated there (which ReLU, how many images to start from) nothing is asked.
FROM_IMAGE, FROM_NOISE = (1000, 0.1, "constant"), (10_000, 0.1, "constant")
IMAGENET = (2000, 1.0, "constant")
Trained = tuple[str, Recipe, Recipe]


def evidence(found: RobustSets) -> Iterator[Evidence]:
    """Evidence is of the student whose architecture is the source's, as published; of the first where there is none."""
    c = found.config
    student = c.source if c.source in c.students else c.students[0]
    if c.data.name == "restricted_imagenet":
        yield from _imagenet(found, student)
    else:
        yield from _standard(found, student)
        yield from _adversarial(found)
        yield from _constructed(found, student)
    yield from _layers(found)


def _pgd(network: MeasuredNetwork, words: str) -> dict[str, PerSeed]:
    return {words.format(eps): network.at[of].pgd for of, eps in ((QUARTER, ".25"), (HALF, ".5")) if of in network.at}


def _standard(found: RobustSets, student: str) -> Iterator[Evidence]:
    network = found.network(CLEAN, student)
    protocol = _protocol(found, (student,), _student(found, student, CLEAN, recipes.STANDARD))
    # Published at .5 of CIFAR-10, whatever radius D_R is judged at; of other images the study says what is large.
    asked = HALF if found.config.data.name == "cifar10" and HALF in network.at else found.config.eps
    numbers = {"clean": network.accuracy, **_pgd(network, "PGD at {}"), "robust at the radius": network.at[asked].worst}
    yield from measured(7, _on(found, student), protocol, numbers)


def _adversarial(found: RobustSets) -> Iterator[Evidence]:
    c, network = found.config, found.reference
    adversary, at = c.adversarial.adversary, network.at[c.eps]
    assert adversary is not None
    on = f"{_on(found, c.source)}, trained at {adversary.eps:.3g}"
    linf = c.robustness.norm == "linf"
    protocol = _protocol(found, (c.source,), _source(found, recipes.LINF if linf else recipes.ADVERSARIAL))
    if linf:
        yield from measured(9, on, protocol, {"clean": network.accuracy, "PGD": at.pgd, "ensemble": at.ensemble})
        return
    numbers = {"clean": network.accuracy, **_pgd(network, "PGD at {}")}
    if HALF in network.at:
        numbers["ensemble at .5"] = network.at[HALF].ensemble
    # Of the same images: the ensemble should never leave more of them right.
    yield from measured(8, on, protocol, {**numbers, "ensemble above PGD": at.ensemble - at.pgd})


def _constructed(found: RobustSets, student: str) -> Iterator[Evidence]:
    c, on = found.config, _on(found, student)
    of_r, won = _of_set(found, student, "r_image"), found.network("r_image", student)
    yield from measured(10, on, of_r, {"clean": won.accuracy, **_pgd(won, "robust at {}")})
    if "nr_image" in c.sets:
        network = found.network("nr_image", student)
        at = {name: of for name, of in _pgd(network, "robust at {}").items() if name != "robust at .5"}
        yield from measured(11, on, _of_set(found, student, "nr_image"), {"clean": network.accuracy, **at})
        above = {"robust above D_NR": found.above(student)["nr_image"]}
        yield from measured(10, on, of_r, above, _unless_robust_is_possible(found, student))
        if "nr_noise" in c.sets:
            noise = found.network("nr_noise", student).accuracy
            numbers = {"clean": noise, "clean above D_NR from images": noise - network.accuracy}
            yield from measured(12, on, _of_set(found, student, "nr_noise"), numbers)
    test = won.at[c.eps].pgd
    numbers = {"own": won.own, "moved": won.moved, "test": test}
    numbers |= {"own above moved": won.own - won.moved, "moved above test": won.moved - test}
    yield from measured(13, on, of_r, numbers)


def _imagenet(found: RobustSets, student: str) -> Iterator[Evidence]:
    """Row 14 is at radius .5, though training is at 3."""
    c, on = found.config, _on(found, student)
    if HALF not in c.robustness.eps:
        return
    protocol = _differing(
        found,
        "restricted_imagenet",
        (student, c.source),
        "" if c.robustness.norm == "l2" else NORMS[c.robustness.norm],
        _inverted(c.from_image, IMAGENET, c.compute),
        _student(found, student, CLEAN, recipes.STANDARD),
        _student(found, student, "r_image", recipes.IMAGENET_R),
        _source(found, recipes.IMAGENET_ADVERSARIAL),
    )
    networks = {
        "standard": found.network(CLEAN, student),
        "adversarial": found.reference,
        "D_R": found.network("r_image", student),
    }
    for name, network in networks.items():
        yield from measured(
            14, on, protocol, {f"{name} clean": network.accuracy, f"{name} robust": network.at[HALF].pgd}
        )
    standard, adversarial, robust = (network.at[HALF].worst for network in networks.values())
    above = {"adversarial above D_R": adversarial - robust, "D_R above standard": robust - standard}
    yield from measured(14, on, protocol, above)


def _layers(found: RobustSets) -> Iterator[Evidence]:
    """Row 33 is of the source's architecture, the logits left out."""
    layers = found.layers
    if layers is None or not (layers.worst[STANDARD] and layers.worst[ADVERSARIAL]):
        return
    c, hidden, ratio = found.config, len(layers.names) - 1, layers.ratio
    on = f"{named(c.data, found.note)}, {c.source}, {NORMS[c.robustness.norm]} {layers.eps:.3g}"
    # ImageNet, which no config has: the nearest is nine superclasses of it.
    data = of_data(c.data, "imagenet", found.note, found.training_rows)
    protocol = differing((data, of_networks((c.source,), "resnet50"), f"{hidden} layers" if hidden != 4 else ""))
    worst = {"standard": layers.worst[STANDARD], "robust": layers.worst[ADVERSARIAL]}
    yield from measured(33, on, protocol, {f"{name}, least robust of four layers": of for name, of in worst.items()})
    yield Evidence(33, "standard over robust", _of_ratios(ratio), on, protocol)
    yield from measured(33, on, protocol, {"robust minus standard": layers.above})


def _of_ratios(ratio: PerSeed) -> Estimate:
    """The mean ratio without an interval: its error by the images is not known."""
    return over_seeds([one.mean for one in ratio.values()], sum(one.n for one in ratio.values()))


def _unless_robust_is_possible(found: RobustSets, student: str) -> str:
    """Where no student of any set is robust at the radius, an order between them cannot be seen."""
    robust = found.robust("r_image", student).mean.mean
    return f"the robust accuracy of D_R is {100 * robust:.1f} % only" if robust < 0.05 else ""


def _on(found: RobustSets, network: str) -> str:
    c = found.config
    return f"{named(c.data, found.note)}, {network}, {NORMS[c.robustness.norm]} {c.eps:.3g}"


def _protocol(found: RobustSets, networks: tuple[str, ...], *trained: Trained, made: str = "") -> str:
    """Published is CIFAR-10, attacked at one of two radii of the norm."""
    c = found.config
    published = (LINF,) if c.robustness.norm == "linf" else (QUARTER, HALF)
    radius = "" if any(same_radius(c.eps, eps) for eps in published) else f"{NORMS[c.robustness.norm]} {c.eps:.3g}"
    return _differing(found, "cifar10", networks, radius, made, *trained)


def _of_set(found: RobustSets, student: str, name: SetName) -> str:
    """The protocol of a set: the source whose features it has, how it was made, and its student."""
    c = found.config
    how = (c.from_noise, FROM_NOISE) if "noise" in name else (c.from_image, FROM_IMAGE)
    inversion = _inverted(*how, c.compute)
    standard = ("source", at_rate(c.train, c.network_lr, c.source), recipes.STANDARD)
    source = _source(found, recipes.ADVERSARIAL) if name.startswith("r_") else standard
    own = _student(found, student, name, recipes.STANDARD)
    return _protocol(found, (c.source, student), source, own, made=inversion)


def _differing(
    found: RobustSets, data: str, networks: tuple[str, ...], radius: str, made: str, *trained: Trained
) -> str:
    c = found.config
    few = data == "cifar10" and found.attacked < FULL_TEST
    return differing(
        (
            of_data(c.data, data, found.note, found.training_rows),
            of_networks(networks, "resnet50"),
            radius,
            f"{found.attacked} attacked images a seed" if few else "",
            f"PGD of {c.robustness.pgd_steps} steps" if c.robustness.pgd_steps < PGD_STEPS else "",
            made,
            of_recipes(*trained),
        )
    )


def _student(found: RobustSets, name: str, of: str, published: Recipe) -> Trained:
    own: dict[str, Recipe] = dict(found.config.student_on.items())
    who = "students" if of == CLEAN else f"students of {of}"
    return who, at_rate(own.get(of, found.config.student), found.config.network_lr, name), published


def _source(found: RobustSets, published: Recipe) -> Trained:
    c = found.config
    if c.released_network is not None:  # theirs
        return "robust network", published, published
    return "robust network", at_rate(c.adversarial, c.network_lr, c.source), published


def _inverted(inversion: Inversion, published: tuple[int, float, str], compute: Compute) -> str:
    same = (inversion.steps, inversion.step_size, inversion.schedule) == published
    steps = f"inverted by {inversion.steps} {inversion.schedule} steps of {inversion.step_size:g}"
    return differing(("" if same else steps, of_precision(compute)))
