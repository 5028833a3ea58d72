"""What the small worlds are held against: the rows of the scoreboard, and beside them closed forms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple

from raylab.experiments.theory.config import Theory
from raylab.experiments.theory.measure import Quantities
from raylab.scoreboard.rows import all_rows
from raylab.stages.theory import fit_name

ILYAS, KUMANO = "Ilyas et al. 2019", "Kumano et al., NeurIPS 2024"
NAKKIRAN, GOH = "Nakkiran, Distill 2019", "Goh, Distill 2019"
COMPUTED = "computed once with another implementation"
CLOSED = "closed form"
Rule = Literal["equal", "at_least", "at_most"]

# Quantities, and what the rows call them: of shifted Gaussians (39), images (38) and the synthetic world (45).
EPS = {"0.01": ".01", "0.004": ".004", "0.002": ".002"}
IMAGES = {
    "standard": "standard",
    "eps 0.14": "perturbations only, .14",
    "eps 0.056": "perturbations only, .056",
    "eps 0.028": "perturbations only, .028",
    "eps 0.14 agreement": "agreement, .14",
}
SYNTHETIC = {
    "standard 0": "standard, clean",
    "standard 1": "standard, η",
    "standard 2": "standard, 2η",
    "adversarial 0": "adversarial, clean",
    "adversarial 2": "adversarial, 2η",
    **{f"{kind} {ratio:g}": f"D_{kind}, {words}" for kind in ("rand", "det")
       for ratio, words in ((0.5, ".5η"), (1.0, "η"), (1.5, "1.5η"), (2.0, "2η"))},
    "D_R 0": "D_R, clean",
    "D_R 2": "D_R, 2η",
    "D_NR 0": "D_NR, clean",
    "D_NR 2": "D_NR, 2η",
    "robust source det": "robust source, D_det",
    "robust source rand": "robust source, D_rand",
}  # fmt: skip


class Target(NamedTuple):
    """What a number is held against."""

    quantity: str  # in words
    value: float
    tolerance: float  # of "equal": how far ours may lie; a directional criterion has none
    source: str
    rule: Rule = "equal"  # else a criterion: ours at least, or at most, `value`
    row: int | None = None  # of the scoreboard


class _AskedQuantity(NamedTuple):
    """A target, and the quantity that answers it."""

    quantity: str
    target: Target
    protocol: str = ""


def _asked(
    quantity: str, words: str, value: float, tolerance: float, source: str, row: int | None = None, protocol: str = "",
    rule: Rule = "equal",
) -> _AskedQuantity:  # fmt: skip
    return _AskedQuantity(quantity, Target(words, value, tolerance, source, rule, row), protocol)


def _of_row(row: int, name: str, quantity: str, words: str, protocol: str = "") -> _AskedQuantity:
    """A published number and its tolerance, as the scoreboard has them; where a share ends, the tolerance does too."""
    target, published = all_rows()[row - 1], all_rows()[row - 1].published[name]
    tolerance = round(max(published.high - published.value, published.value - published.low), 12)
    return _asked(quantity, words, published.value, tolerance, target.source, row, protocol)


def _criterion(row: int, name: str, quantity: str, words: str, protocol: str = "") -> _AskedQuantity:
    """A directional criterion of the scoreboard that has one bound."""
    target, criterion = all_rows()[row - 1], all_rows()[row - 1].criteria[name]
    rule: Rule = "at_most" if criterion.at_least is None else "at_least"
    bound = criterion.at_most if criterion.at_least is None else criterion.at_least
    assert bound is not None
    return _asked(quantity, words, bound, 0.0, target.source, row, protocol, rule)


# Variances and eps, then lambda, Sigma_r (the table of row 35), kappa and worst cosine after training.
_FITS = (
    ((1.0,), 0.5, 1.33333, (2.25,), None),
    ((100.0, 1.0), 1.0, 0.514091, (103.85393, 3.92680), None),
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


def gaussian(config: Theory, found: Quantities) -> Iterator[_AskedQuantity]:
    """Rows 34 to 37."""
    c = config.gaussian
    if c.gain == ((1.0, 4.0), 2.0):
        gain = "theorem 1: what an adversary gains, Σ = diag(1, 4), C = 2"
        yield _of_row(34, "closed form", "gain", gain)
        yield _of_row(34, "sampled", "gain sampled", f"{gain}, sampled")
    row = all_rows()[34]
    exact, source = row.published["largest deviation from the table"].high, row.source
    for variances, eps, multiplier, learned, after in _FITS:
        if (variances, eps) in c.fits:
            name = fit_name(variances, eps)
            yield _asked(f"{name} lambda", f"{name}: λ", multiplier, exact, source, 35)
            for i, value in enumerate(learned):
                yield _asked(f"{name} s{i}", f"{name}: Σr, entry {i + 1}", value, exact, source, 35)
            yield from _alignment(name, after, exact, found)
    hard = "σr² where every sample moves by exactly ε, d = 1, σ = 1, ε = .5"
    yield _of_row(36, "closed form", "hard", hard)
    yield _of_row(36, "by training", "hard learned", f"{hard}, by adversarial training")
    if (c.mean, c.variances) == ((2.0, 1.0), (4.0, 0.25)):
        yield from _classifiers(c.trained, c.attacked, found)


def _alignment(
    name: str, after: tuple[float, float] | None, exact: float, found: Quantities
) -> Iterator[_AskedQuantity]:
    """Theorem 3; of the fit that row 37 is about, by its numbers."""
    kappa, cosine = f"{name}: κ of Σr", f"{name}: worst cosine after"
    third = all_rows()[36].source
    if name == fit_name((100.0, 1.0), 1.0):
        yield _of_row(37, "κ after", f"{name} kappa after", kappa)
        yield _of_row(37, "worst cosine before", f"{name} cos before", f"{name}: worst cosine before")
        yield _of_row(37, "worst cosine after", f"{name} cos after", cosine)
    elif after is not None:
        yield _asked(f"{name} kappa after", kappa, after[0], exact, third, 37)
        yield _asked(f"{name} cos after", cosine, after[1], exact, third, 37)
    else:
        return
    before = found[f"{name} cos before"].mean.mean
    rises = f"{name}: worst cosine above that before training"
    yield _asked(f"{name} cos after", rises, before, 0.0, f"{ILYAS}, theorem 3", 37, rule="at_least")


def _classifiers(
    trained: tuple[float, ...], attacked: tuple[float, ...], found: Quantities
) -> Iterator[_AskedQuantity]:
    for eps, accuracies, cosine in _CLASSIFIERS:
        if eps not in trained:
            continue
        name, words = f"trained {eps:g}", f"trained at ε = {eps:g}"
        yield _asked(f"{name} cos", f"{words}: cosine of gradient and class direction", cosine, 1e-5, COMPUTED)
        for at, value in zip((0.0, 0.25, 0.5, 1.0), accuracies, strict=True):
            if at in attacked:
                quantity, label = f"{name} attacked {at:g}", f"{words}: accuracy at ε = {at:g}"
                yield _asked(quantity, label, value, 1e-5, COMPUTED)
                yield _asked(f"{quantity} sampled", f"{label}, sampled", found[quantity].mean.mean, 0.005, CLOSED)


def published_draws() -> Iterator[_AskedQuantity]:
    """Row 39."""
    yield _asked("label sum", "sum of the 1000 random labels in the published run", -12, 0, "authors' code, seed 0")
    for eps, name in EPS.items():
        words = f"perturbation-only network, ε = {eps}"
        yield _of_row(39, f"perturbations only, {name}", f"eps {eps}", words, "float32, not half precision")


def own_draws() -> Iterator[_AskedQuantity]:
    for eps in EPS:
        words = f"the same, labels by fair coins, ε = {eps}, less the closed form at each seed's label sum"
        yield _asked(f"eps {eps} excess", words, 0.0, 0.05, CLOSED)


def images() -> Iterator[_AskedQuantity]:
    """Row 38."""
    words = {
        "standard": "standard network, training accuracy",
        **{f"eps {eps}": f"perturbation-only network, ε = {eps}" for eps in ("0.14", "0.056", "0.028")},
        "eps 0.14 agreement": "agreement on test images, ε = .14",
    }
    for quantity, name in IMAGES.items():
        yield _of_row(38, name, quantity, words[quantity], "float32, not half precision")


def squares(config: Theory) -> Iterator[_AskedQuantity]:
    """Row 32."""
    c, largest = config.squares, f"d {max(config.squares.dimensions)}"
    protocol = (
        f"{largest.replace(' ', ' = ')}, n = {c.examples}, whitened MLP; published: d = 3072, n = 10000, ResNet-18"
    )
    left = "accuracy left at .01"
    yield _criterion(32, "training accuracy", f"{largest} train", "training accuracy, label noise included", protocol)
    yield _criterion(32, left, f"{largest} robust 0.01", "accuracy left at ℓ∞ .01", protocol)
    yield _criterion(
        32, f"{left} after one epoch", f"{largest} first robust 0.01", "the same after one epoch", protocol
    )
    for name in ("no label noise", "no pixel noise", "neither noise"):
        words = f"accuracy left at ℓ∞ .01, {name}"
        yield _asked(f"{name} robust 0.01", words, 0.9, 0, f"{NAKKIRAN}: robust", 32, protocol, "at_least")
    yield _asked("rule withstands", "ℓ∞ radius up to which sign(mean x) is robust", 0.9, 1e-9, NAKKIRAN, 32)


def usefulness(found: Quantities) -> Iterator[_AskedQuantity]:
    """Section 7.2: identities, which hold on any data, and the ordering of the two constructions."""
    mixture, plane = "log usefulness of Goh's mixture, from its two members", f"{GOH}: members given to ±.005"
    yield _asked("contained in the published plane", mixture, -1.253, 0.01, plane)
    identity = "‖a‖Σ/‖a‖₂ of eigenvectors less singular values, largest log difference"
    yield _asked("eigenvector identity", identity, 0.0, 1e-6, CLOSED)
    for name in ("ensemble", "contained", "most useful"):
        exact = found[f"{name} identity"].mean.mean
        yield _asked(f"{name} usefulness", f"log usefulness, {name}", exact, 1e-6, f"{CLOSED} from the eigenvectors")
    best, most = (found[f"best member {what}"].mean.mean for what in ("usefulness", "robustness"))
    above = "log usefulness, ensemble above its best member"
    yield _asked("ensemble usefulness", above, best, 0, GOH, rule="at_least")
    no_more = "log robustness, ensemble no more robust than its best"
    yield _asked("ensemble robustness", no_more, most, 0, GOH, rule="at_most")
    none_left = "robust usefulness of the contaminated feature: none is left"
    yield _asked("contained robust usefulness", none_left, 0, 0, GOH, rule="at_most")


def synthetic(found: Quantities) -> Iterator[_AskedQuantity]:
    """Row 45: every number of the table, and beside it the limit of endless data where there is one."""
    for quantity, name in SYNTHETIC.items():
        protocol = "one start an example; unstated there" if quantity == "D_R 2" else ""
        yield _of_row(45, name, quantity, name, protocol)
        if f"{quantity} limit" in found:
            yield _of_row(45, name, f"{quantity} limit", f"{name}, endless data")
    for ratio in (0, 1, 2):
        limit = found[f"averaging {ratio} limit"].mean.mean
        yield _asked(f"averaging {ratio}", f"averaging classifier, ε = {ratio}η", limit, 0.02, "Φ((η − ε)√d)", 45)
    for quantity in ("det 1", "det 1.5"):
        yield _criterion(45, SYNTHETIC[quantity], quantity, f"{SYNTHETIC[quantity]}, directional criterion")
    yield _asked("D_R many 2", "D_R, ε = 2η, eight starts an example", 0.95, 0.02, "limit of endless data")


def asked(world: str, config: Theory, found: Quantities) -> Iterator[_AskedQuantity]:
    """Of a world, by `TheoryCell.world`."""
    of: Mapping[str, Callable[[], Iterator[_AskedQuantity]]] = {
        "gaussian": lambda: gaussian(config, found),
        "two_layer published": published_draws,
        "two_layer": own_draws,
        "images published": images,
        "usefulness": lambda: usefulness(found),
        "squares": lambda: squares(config),
        "synthetic": lambda: synthetic(found),
    }
    return of[world]()
