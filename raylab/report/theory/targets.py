"""What the worlds of `recipes.theory` are held against: published numbers and closed forms, with their sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from raylab.core.statistics import Estimate
from raylab.recipes.theory import Theory
from raylab.report.comparison import Rule, Target
from raylab.stages.theory import fit_name

ILYAS, KUMANO = "Ilyas et al. 2019", "Kumano et al., NeurIPS 2024"
NAKKIRAN, GOH = "Nakkiran, Distill 2019", "Goh, Distill 2019"
COMPUTED = "computed once with another implementation"
CLOSED = "closed form"
Found = Mapping[str, Estimate]  # by quantity


class Asked(NamedTuple):
    """A target, and the quantity that answers it."""

    quantity: str
    target: Target
    protocol: str = ""


def _asked(
    quantity: str, words: str, value: float, tolerance: float, source: str, row: int | None = None, protocol: str = "",
    rule: Rule = "equal",
) -> Asked:  # fmt: skip
    return Asked(quantity, Target(words, value, tolerance, source, rule, row), protocol)


# Variances and eps, then lambda, Sigma_r, kappa and worst cosine after training.
_FITS = (
    ((1.0,), 0.5, 1.33333, (2.25,), None),
    ((100.0, 1.0), 1.0, 0.514091, (103.85393, 3.92680), (26.4475, 0.374731)),
    ((100.0, 1.0), 10.0, 0.0124013, (233.41644, 90.13042), (2.58976, 0.896591)),
    ((25.0, 1.0), 1.0, 0.548428, (28.53025, 3.76332), (7.58114, 0.641730)),
    ((4.0, 1.0, 0.25), 0.5, 2.898369, (4.66452, 1.61640, 0.78921), (5.91038, 0.703614)),
)
# Trained at eps: accuracy at 0, .25, .5, 1 and the cosine, for mu = (2, 1) and Sigma = diag(4, .25).
_CLASSIFIERS = (
    (0.0, (0.98733, 0.96290, 0.90901, 0.66760), 0.55470),
    (0.5, (0.97351, 0.94960, 0.91099, 0.77595), 0.73555),
    (1.0, (0.95367, 0.92785, 0.89222, 0.78679), 0.84859),
)


def gaussian(config: Theory, found: Found) -> Iterator[Asked]:
    """Rows 34 to 37."""
    c = config.gaussian
    if c.gain == ((1.0, 4.0), 2.0):
        gain = "theorem 1: what an adversary gains, Σ = diag(1, 4), C = 2"
        yield _asked("gain", gain, 3.3061224, 1e-6, f"{ILYAS}, theorem 1; {COMPUTED}", 34)
        yield _asked("gain sampled", f"{gain}, sampled", 3.3061224, 0.033, CLOSED, 34)
    for variances, eps, multiplier, learned, after in _FITS:
        if (variances, eps) in c.fits:
            name = fit_name(variances, eps)
            source = f"{ILYAS}, theorem 2 and lemma 4; {COMPUTED}"
            yield _asked(f"{name} lambda", f"{name}: λ", multiplier, 1e-5, source, 35)
            for i, value in enumerate(learned):
                yield _asked(f"{name} s{i}", f"{name}: Σr, entry {i + 1}", value, 1e-5, source, 35)
            if after:
                third = f"{ILYAS}, theorem 3; {COMPUTED}"
                yield _asked(f"{name} kappa after", f"{name}: κ of Σr", after[0], 1e-5, third, 37)
                yield _asked(f"{name} cos after", f"{name}: worst cosine after", after[1], 1e-5, third, 37)
                before = found[f"{name} cos before"].mean
                rises = f"{name}: worst cosine above that before training"
                yield _asked(f"{name} cos after", rises, before, 0.0, f"{ILYAS}, theorem 3", 37, rule="at_least")
    hard = "σr² where every sample moves by exactly ε, d = 1, σ = 1, ε = .5"
    yield _asked("hard", hard, 2.047885, 1e-6, f"appendix E, hard constraint; {COMPUTED}", 36)
    yield _asked("hard learned", f"{hard}, by adversarial training", 2.047885, 0.0204, CLOSED, 36)
    if (c.mean, c.variances) == ((2.0, 1.0), (4.0, 0.25)):
        yield from _classifiers(c.trained, c.attacked, found)


def _classifiers(trained: tuple[float, ...], attacked: tuple[float, ...], found: Found) -> Iterator[Asked]:
    for eps, accuracies, cosine in _CLASSIFIERS:
        if eps not in trained:
            continue
        name, words = f"trained {eps:g}", f"trained at ε = {eps:g}"
        yield _asked(f"{name} cos", f"{words}: cosine of gradient and class direction", cosine, 1e-5, COMPUTED)
        for at, value in zip((0.0, 0.25, 0.5, 1.0), accuracies, strict=True):
            if at in attacked:
                quantity, said = f"{name} attacked {at:g}", f"{words}: accuracy at ε = {at:g}"
                yield _asked(quantity, said, value, 1e-5, COMPUTED)
                yield _asked(f"{quantity} sampled", f"{said}, sampled", found[quantity].mean, 0.005, CLOSED)


def two_layer(published: bool) -> Iterator[Asked]:
    """Row 39."""
    source = f"{KUMANO}, figure read to ±.01"
    if published:
        yield _asked("label sum", "sum of the 1000 random labels in the published run", -12, 0, "authors' code, seed 0")
        for eps, value, tolerance in ((0.01, 0.99, 0.03), (0.004, 0.77, 0.08), (0.002, 0.52, 0.05)):
            words = f"perturbation-only network, ε = {eps:g}"
            yield _asked(f"eps {eps:g}", words, value, tolerance, source, 39, "float32, not half precision")
        return
    for eps in (0.01, 0.004, 0.002):
        words = f"the same, labels by fair coins, ε = {eps:g}, less the closed form at each seed's label sum"
        yield _asked(f"eps {eps:g} excess", words, 0.0, 0.05, CLOSED)


def images() -> Iterator[Asked]:
    """Row 38."""
    source, protocol = f"{KUMANO}, figure read to ±.01", "float32, not half precision"
    yield _asked("standard", "standard network, training accuracy", 0.955, 0.03, source, 38, protocol)
    for eps, value in ((0.14, 0.965), (0.056, 0.89), (0.028, 0.47)):
        yield _asked(f"eps {eps:g}", f"perturbation-only network, ε = {eps:g}", value, 0.03, source, 38, protocol)
    yield _asked("eps 0.14 agreement", "agreement on test images, ε = .14", 0.94, 0.03, source, 38, protocol)


def squares(config: Theory) -> Iterator[Asked]:
    """Row 32."""
    c, largest = config.squares, f"d {max(config.squares.dimensions)}"
    protocol = (
        f"{largest.replace(' ', ' = ')}, n = {c.examples}, whitened MLP; published: d = 3072, n = 10000, ResNet-18"
    )
    flip = f"{NAKKIRAN}: “almost all”; gate of the specification"
    yield _asked(
        f"{largest} train",
        "training accuracy, label noise included",
        0.99,
        0,
        f"{NAKKIRAN}: 99.9 %",
        32,
        protocol,
        "at_least",
    )
    yield _asked(f"{largest} robust 0.01", "accuracy left at ℓ∞ .01", 0.1, 0, flip, 32, protocol, "at_most")
    yield _asked(
        f"{largest} first robust 0.01",
        "the same after one epoch",
        0.9,
        0,
        f"{NAKKIRAN}: robust",
        32,
        protocol,
        "at_least",
    )
    for name in ("no label noise", "no pixel noise", "neither noise"):
        words = f"accuracy left at ℓ∞ .01, {name}"
        yield _asked(f"{name} robust 0.01", words, 0.9, 0, f"{NAKKIRAN}: robust", 32, protocol, "at_least")
    yield _asked("rule withstands", "ℓ∞ radius that sign(mean x) withstands", 0.9, 1e-9, NAKKIRAN, 32)


def usefulness(found: Found) -> Iterator[Asked]:
    """Section 7.2: identities, which hold on any data, and the ordering of the two constructions."""
    yield _asked("contained in the published plane", "log usefulness of Goh's mixture, from its two members",
                 -1.253, 0.01, f"{GOH}: members given to ±.005")  # fmt: skip
    yield _asked(
        "eigenvector identity",
        "‖a‖Σ/‖a‖₂ of eigenvectors less singular values, largest log difference",
        0.0,
        1e-6,
        CLOSED,
    )
    for name in ("ensemble", "contained", "most useful"):
        exact = found[f"{name} identity"].mean
        yield _asked(f"{name} usefulness", f"log usefulness, {name}", exact, 1e-6, f"{CLOSED} from the eigenvectors")
    best = found["best member usefulness"].mean
    yield _asked("ensemble usefulness", "log usefulness, ensemble above its best member", best, 0, GOH, rule="at_least")
    most = found["best member robustness"].mean
    yield _asked(
        "ensemble robustness", "log robustness, ensemble no more robust than its best", most, 0, GOH, rule="at_most"
    )
    yield _asked(
        "contained robust usefulness",
        "robust usefulness of the contaminated feature: none is left",
        0,
        0,
        GOH,
        rule="at_most",
    )


def synthetic(found: Found) -> Iterator[Asked]:
    """Row 45: every number of the table, and beside it the limit of endless data where there is one."""
    table: dict[str, tuple[str, float]] = {
        "standard 0": ("standard, clean", 0.9993),
        "standard 1": ("standard, ε = η", 0.602),
        "standard 2": ("standard, ε = 2η", 0.0023),
        "adversarial 0": ("adversarially trained, clean", 0.950),
        "adversarial 2": ("adversarially trained, ε = 2η", 0.950),
        **{f"rand {r:g}": (f"D_rand, ε = {r:g}η", v) for r, v in ((0.5, 0.684), (1, 0.789), (1.5, 0.987), (2, 0.998))},
        **{f"det {r:g}": (f"D_det, ε = {r:g}η", v) for r, v in ((0.5, 0.001), (1, 0.050), (1.5, 0.988), (2, 0.997))},
        "D_R 0": ("D_R, clean", 0.950),
        "D_R 2": ("D_R, ε = 2η", 0.925),
        "D_NR 0": ("D_NR, clean", 0.9992),
        "D_NR 2": ("D_NR, ε = 2η", 0.0027),
        "robust source det": ("robust source, D_det at 2η", 0.0012),
        "robust source rand": ("robust source, D_rand at 2η: leakage", 0.673),
    }
    for quantity, (words, value) in table.items():
        if quantity in found:
            protocol = "one start an example; unstated there" if quantity == "D_R 2" else ""
            yield _asked(quantity, words, value, 0.02, COMPUTED, 45, protocol)
        if f"{quantity} limit" in found:
            yield _asked(f"{quantity} limit", f"{words}, endless data", value, 0.02, COMPUTED, 45)
    for ratio in (0, 1, 2):
        limit = found[f"averaging {ratio} limit"].mean
        yield _asked(f"averaging {ratio}", f"averaging classifier, ε = {ratio}η", limit, 0.02, "Φ((η − ε)√d)", 45)
    if "det 1" in found:
        yield _asked("det 1", "D_det at η", 0.1, 0, "gate of the specification", 45, rule="at_most")
    if "det 1.5" in found:
        yield _asked("det 1.5", "D_det at 1.5η", 0.95, 0, "gate of the specification", 45, rule="at_least")
    yield _asked("D_R many 2", "D_R, ε = 2η, eight starts an example", 0.95, 0.02, "limit of endless data")
