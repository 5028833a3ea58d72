"""What the controls say about rows 4, 28 to 31 and 41 to 43."""

from __future__ import annotations

from collections.abc import Iterator

from raylab.experiments.controls.config import Bugs
from raylab.experiments.controls.measure import SUCCESS, MeasuredControls
from raylab.experiments.controls.plan import at_radius
from raylab.scoreboard import recipes
from raylab.scoreboard.evidence import Evidence, measured
from raylab.scoreboard.protocol import (
    NORMS,
    differing,
    named,
    norm_label,
    of_attack,
    of_data,
    of_networks,
    of_precision,
    radius,
    same_radius,
)
from raylab.scoreboard.recipes import at_rate, of_recipe, of_recipes
from raylab.stages.construction import Attack
from raylab.stages.recipe import Adversary, Recipe

PUBLISHED = Attack(eps=0.5, steps=100, step_size=0.1)  # of Ilyas et al. and of Jordan
UNIVERSAL = Attack(eps=1.0)  # of Park et al.; their steps are not in the summary
ROBUST_LINEAR = Adversary(eps=0.25, ramp=0.0)  # Goh: usefulness and certificates at this radius; no training is stated
BUGS = {  # row and attack by norm
    "linf": (29, Attack(norm="linf", eps=8 / 255, steps=10, step_size=2 / 255)),
    "l2": (30, Attack(eps=2.5, steps=10, step_size=0.5)),
}
ENSEMBLE = ("resnet18",) * 10


def evidence(found: MeasuredControls) -> Iterator[Evidence]:
    """Every number that a row asks for of the controls that were built."""
    numbers = [*_leakage(found), *_sets(found)]
    if found.config.bugs is not None and found.config.bugs.attack.norm in BUGS:  # no row has another norm
        numbers += _bugs(found, found.config.bugs)
    if found.config.curve is not None:
        numbers += _robust_source(found, found.config.curve.expected_at)
    yield from (one for one in numbers if one.ours.seeds)


def _leakage(found: MeasuredControls) -> Iterator[Evidence]:
    c, on, protocol = found.config, _on(found), _goh(found)
    # A radius at which even a robust source's students see the target holds robust features of it.
    beyond = found.admissible_is_known and (found.admissible is None or c.attack.eps > found.admissible)
    excuse = f"radius {c.attack.eps:g} lies beyond the admissible one" if beyond else ""
    for kind in c.kinds:
        linear = found.share("features", "linear", kind)
        yield Evidence(28, kind, linear.mean, on, protocol)
        above = {f"{kind} above chance": linear - found.chance}
        yield from measured(28, on, protocol, above, excuse if kind == "det" else "")
        leaking = found.share("student", "leakage", kind)
        yield Evidence(41, kind, leaking.mean, on, _jordan(found, patterns=True))


def _sets(found: MeasuredControls) -> Iterator[Evidence]:
    c, on, protocol = found.config, _on(found), _park(found)
    top, rest = (found.share("student", of, "other") for of in ("top", "bottom"))
    norm = norm_label(c.attack.norm)
    at = on if c.top_eps is None else f"{named(c.data, found.note)}, {c.source}, {norm} {c.top_eps:g}"
    parts = _jordan(found)
    yield from measured(42, at, parts, {"top 40 %": top, "rest": rest, "top minus rest": top - rest})
    kind = "det" if "det" in c.kinds else c.kinds[0]
    universal, real = (found.share("student", of, kind) for of in ("universal", "real"))
    numbers = {"universal": universal, "per image": real, "per image minus universal": real - universal}
    yield from measured(43, on, protocol, numbers)


def _bugs(found: MeasuredControls, bugs: Bugs) -> Iterator[Evidence]:
    (number, _), norm = BUGS[bugs.attack.norm], NORMS[bugs.attack.norm]
    on = f"{named(found.config.data, found.note)}, {bugs.source} → {bugs.student}, {radius(bugs.attack)}"
    protocol = _nakkiran(found)
    student, plain = (found.share("student", of, "det") for of in ("bugs", "plain"))
    transfer, of_plain = (found.share("transfer", of) for of in ("bugs", "plain"))
    following = {of: found.share("student", of, "det", column="next_class") for of in ("bugs", "plain")}
    success = found.success("bugs")
    numbers = {"attack success": success, "transfer": transfer, "student": student, "student, y + 1": following["bugs"]}
    yield from measured(number, on, protocol, numbers)
    excuse = "the bugs mislead their own source too rarely" if success.mean.mean < SUCCESS else ""
    yield from measured(number, on, protocol, {"student above chance": student - found.chance}, excuse)
    numbers = {"transfer": of_plain, "student": plain, "student, y + 1": following["plain"]}
    yield from measured(31, on, protocol, {f"{norm}, {name}": of for name, of in numbers.items()})
    above = {"student, PGD minus bugs": plain - student, "transfer, PGD minus bugs": of_plain - transfer}
    yield from measured(31, on, protocol, above)


def _robust_source(found: MeasuredControls, eps: float) -> Iterator[Evidence]:
    c, robust = found.config, found.curve["robust"]
    on = f"{named(c.data, found.note)}, {c.source}, {norm_label(c.attack.norm)} {eps:g}"
    clean, relabelled = robust.accuracy[eps], robust.next_class[eps]
    numbers = {"det": clean, "det relabelled": relabelled}
    numbers |= {"relabelled above clean": relabelled - clean, "det above chance": clean - found.chance}
    yield from measured(4, on, _robust(found, at_radius(c.attack, eps)), numbers)


def _on(found: MeasuredControls) -> str:
    c = found.config
    return f"{named(c.data, found.note)}, {c.source}, {radius(c.attack)}"


def _data(found: MeasuredControls) -> str:
    return of_data(found.config.data, "cifar10", found.note, found.training_rows)


def _goh(found: MeasuredControls) -> str:
    """Of the robust linear features, the radius alone is stated."""
    c = found.config
    stated = c.robust.model_copy(update={"adversary": ROBUST_LINEAR})
    linear = of_recipe(c.robust, stated)
    return differing(
        (
            _data(found),
            of_networks((c.source,), "resnet50"),
            of_attack(c.attack, PUBLISHED),
            of_precision(c.compute),
            of_recipes(("source", _rate(found, c.train, c.source), recipes.STANDARD)),
            f"robust features: {linear}" if linear else "",
        )
    )


def _jordan(found: MeasuredControls, *, patterns: bool = False) -> str:
    """Of the control with patterns, which have a radius and no steps, or of D_other by margin."""
    c = found.config
    attack = c.attack if patterns or c.top_eps is None else at_radius(c.attack, c.top_eps)
    same_size = attack.norm == PUBLISHED.norm and same_radius(attack.eps, PUBLISHED.eps)
    own = f"{c.selector_epochs} epochs of the selector" if c.selector_epochs != 1 else ""
    share = f"the top {100 * c.top_share:g} %" if c.top_share != 0.4 else ""
    names = (c.source, c.student)
    return differing(
        (
            _data(found),
            of_networks(names, "resnet9"),
            ("" if same_size else radius(attack)) if patterns else of_attack(attack, PUBLISHED),
            "" if patterns else of_precision(c.compute),
            own if patterns else share,
            of_recipes(*(("all networks", _rate(found, c.train, name), recipes.JORDAN) for name in names)),
            recipes.TRIANGLE,
        )
    )


def _nakkiran(found: MeasuredControls) -> str:
    bugs = found.config.bugs
    assert bugs is not None
    same = (bugs.source, bugs.student, bugs.ensemble) == ("resnet18", "resnet18", ENSEMBLE)
    trained = (
        (f"{who} of bugs", _rate(found, bugs.train, name), recipes.STANDARD)
        for who, names in (("source", [bugs.source]), ("student", [bugs.student]), ("ensemble", bugs.ensemble))
        for name in names
    )
    return differing(
        (
            _data(found),
            "" if same else f"{bugs.source} → {bugs.student}, ensemble of {len(bugs.ensemble)}",
            of_attack(bugs.attack, BUGS[bugs.attack.norm][1]),
            of_precision(found.config.compute),
            of_recipes(*trained),
        )
    )


def _park(found: MeasuredControls) -> str:
    c, names = found.config, (found.config.source, found.config.student)
    differs = (c.attack.norm, c.attack.eps) != (UNIVERSAL.norm, UNIVERSAL.eps)
    return differing(
        (
            _data(found),
            of_networks(names, "resnet18"),
            radius(c.attack) if differs else "",
            of_recipes(*(("all networks", _rate(found, c.train, name), recipes.STANDARD) for name in names)),
        )
    )


def _robust(found: MeasuredControls, attack: Attack) -> str:
    c = found.config
    return differing(
        (
            _data(found),
            of_networks((c.source, c.student), "resnet50"),
            of_attack(attack, PUBLISHED),
            of_precision(c.compute),
            of_recipes(
                ("robust source", _rate(found, c.robust, c.source), recipes.ADVERSARIAL),
                ("students of det", _rate(found, c.train, c.student), recipes.DET),
            ),
        )
    )


def _rate(found: MeasuredControls, recipe: Recipe, network: str) -> Recipe:
    return at_rate(recipe, found.config.network_lr, network)
