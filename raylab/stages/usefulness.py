"""How useful and how robust the linear features of two classes are, as a table of quantities."""

from __future__ import annotations

import json
import math
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from raylab.config import Config
from raylab.config.radius import Radius
from raylab.core import usefulness
from raylab.engine.stage import Metrics, Stage, TaskContext
from raylab.stages.quantities import Rows, exact, two_classes_of, write

SPECTRUM = "spectrum.json"  # the points of Goh's plane, for the picture


class Usefulness(Config):
    """Goh's plane of one pair of classes."""

    doing: ClassVar[tuple[str, str]] = ("measuring the features of", "data set")
    in_driver: ClassVar[bool] = False
    classes: tuple[int, int]  # the pair of classes
    eps: Radius  # L2 radius
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5  # share of the spectrum, the least robust, that the ensemble takes

    def run(self, context: TaskContext) -> Metrics:
        x, y = two_classes_of(context.inputs["data"], self.classes, 0.0)
        found = usefulness.two_classes(x.double().numpy(), y.double().numpy())
        points = found.spectrum()
        members = np.arange(len(points) - max(2, round(self.share * len(points))), len(points))
        together = found.point(found.ensemble(members))
        low, high = len(points) - 1, int(np.argmax([p.usefulness for p in points]))
        middle = (points[low].robustness + points[high].robustness) / 2
        share = usefulness.share_of(points[low], points[high], middle)
        contained = found.point(found.contain(low, high, share))
        predicted = usefulness.mixed(points[low], points[high], share)
        best = found.point(found.most_useful)
        special = {"ensemble": together, "contained": contained, "most useful": best}
        drawn = {"points": points, "members": members.tolist(), "low": low, "high": high, "special": special}
        context.write(SPECTRUM, json.dumps(drawn).encode(), None)
        goh = usefulness.GOH_NON_ROBUST, usefulness.GOH_ROBUST
        published = usefulness.mixed(*goh, usefulness.share_of(*goh, usefulness.GOH_CONTAINED.robustness))
        singular, useful = found.singular, np.exp([p.usefulness for p in points])

        def rows() -> Rows:
            yield "directions", exact(len(points))
            yield "examples", exact(len(x))
            for name, point in special.items():
                yield f"{name} robustness", exact(point.robustness)
                yield f"{name} usefulness", exact(point.usefulness)
            yield "best member usefulness", exact(max(points[i].usefulness for i in members))
            yield "best member robustness", exact(max(points[i].robustness for i in members))
            scale = np.linalg.norm(singular[members])
            yield "ensemble identity", exact(math.log(float(singular[members] @ useful[members]) / float(scale)))
            yield "contained identity", exact(predicted.usefulness)
            yield "most useful identity", exact(math.log(float(np.linalg.norm(useful))))
            yield (
                "eigenvector identity",
                exact(max(abs(p.robustness - math.log(s)) for p, s in zip(points, singular, strict=True))),
            )
            yield "contained in the published plane", exact(published.usefulness)
            yield "robustly useful", exact(sum(found.robust_usefulness(a, self.eps) > 0 for a in found.vectors.T))
            yield (
                "contained robust usefulness",
                exact(found.robust_usefulness(found.contain(low, high, share), self.eps)),
            )

        return write(context, rows())


def useful_directions(config: Usefulness, data: Stage, name: str) -> Stage:
    return Stage("usefulness", 1, config, {"data": data}, name)
