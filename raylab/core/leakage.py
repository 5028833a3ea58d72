"""Robust features and linear classifiers on them: how much of a constructed set they explain.

Goh, "Robust feature leakage" (Distill 2019, discussion of Ilyas et al. 2019).
"""

from __future__ import annotations

from raylab.core.later import F, Tensor, torch

PENALTY = 1e-4  # on the squared weights of standardised features: it makes the fit unique


def correlation(
    features: Tensor,  # (N, F) float64
    label: Tensor,  # (N,) int64
    num_classes: int,
) -> tuple[Tensor, Tensor]:
    """Weights (F, num_classes) and bias (num_classes,) that maximise the correlation with the label.

    Equation 3 of Ilyas et al. 2019 is linear in the weights and so unbounded; at a given norm its solution for
    class c is the mean of y f, y = +-1 one against the rest, of centred features: their class means.
    """
    means, centred = _centred(features)
    weights = centred.T @ _signs(label, num_classes) / len(label)
    weights = weights / weights.norm(dim=0, keepdim=True).clamp(min=1e-12)
    return weights, -means @ weights


def least_squares(features: Tensor, label: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """The same of least squares on y = +-1: the correlation divided by the features' covariance."""
    means, centred = _centred(features)
    signs = _signs(label, num_classes)
    covariance = centred.T @ centred / len(label)
    ridge = PENALTY * covariance.diagonal().mean().clamp(min=1e-12)
    covariance.diagonal().add_(ridge)
    weights = torch.linalg.solve(covariance, centred.T @ signs / len(label))
    return weights, signs.mean(dim=0) - means @ weights


def logistic(features: Tensor, label: Tensor, num_classes: int, steps: int = 100) -> tuple[Tensor, Tensor]:
    """The same of multinomial logistic regression, by L-BFGS on standardised features."""
    means, centred = _centred(features)
    scale = centred.std(dim=0, unbiased=False).clamp(min=1e-12)
    x = centred / scale
    with torch.inference_mode(False), torch.enable_grad():
        weights = x.new_zeros(x.shape[1], num_classes, requires_grad=True)
        bias = x.new_zeros(num_classes, requires_grad=True)
        optimizer = torch.optim.LBFGS([weights, bias], max_iter=steps, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimizer.zero_grad()
            value: Tensor = F.cross_entropy(x @ weights + bias, label) + PENALTY * weights.square().sum()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimizer.step(loss)  # type: ignore[no-untyped-call]
    found = weights.detach() / scale[:, None]
    return found, bias.detach() - means @ found


def robust_usefulness(
    scores: Tensor,  # (N, num_classes): f_c(x) = w_c^T x
    label: Tensor,  # (N,) int64
    weights: Tensor,  # (num_classes, D), of pixels
) -> Tensor:
    """(num_classes,) the L2 radius up to which each feature is robustly useful: E[y f] / ||w||_2, y = +-1 one against
    the rest, f centred.  A perturbation of size eps takes eps ||w|| of E[y f], the bounds of pixels aside (Goh's first
    specification, gamma = 0).
    """
    _, centred = _centred(scores)
    useful = (_signs(label, scores.shape[1]) * centred).mean(dim=0)
    radius: Tensor = useful / torch.linalg.vector_norm(weights, dim=1)
    return radius


def certified_radius(
    scores: Tensor,  # (N, num_classes), biases included
    weights: Tensor,  # (num_classes, D), of pixels
) -> Tensor:
    """(N,) the L2 distance to the nearest change of the linear network's answer, min_j (s_c - s_j) / ||w_c - w_j||."""
    said = scores.argmax(dim=1, keepdim=True)
    between = torch.cdist(weights, weights)[said[:, 0]]
    ratio: Tensor = (scores.gather(1, said) - scores) / between.clamp(min=1e-12)
    return ratio.scatter(1, said, torch.inf).amin(dim=1)


def _centred(values: Tensor) -> tuple[Tensor, Tensor]:
    means = values.mean(dim=0)
    return means, values - means


def _signs(label: Tensor, num_classes: int) -> Tensor:
    return F.one_hot(label, num_classes).double() * 2 - 1
