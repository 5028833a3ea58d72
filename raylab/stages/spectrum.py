"""Is a robust set more than its spectrum?  The original set, filtered to what a made set has of every frequency."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from raylab.core import spectra
from raylab.engine.artifact import Artifact
from raylab.engine.columns import Batch, Column
from raylab.engine.stage import Compute, Metrics, Stage, TaskContext
from raylab.stages.images import truths

# What the filter takes over from the other set, radius by radius.
# "power": the root of the ratio of powers, so the same spectrum, wherever the other set has it from. No blur: inversion
# adds high frequencies of its own (See-Far: 5 to 16 times the power of D from radius 3 on), so D's are amplified.
# "correlation": that of the waves of an image with those of its counterpart, at most 1. A blur: what both share.
Match = Literal["power", "correlation"]

CHUNK_ROWS = 1000


class _SpectraCompared(tuple[()]):
    """Of two sets; nothing else is to be known of it."""

    doing = ("comparing", "spectrum")
    in_driver = False

    def run(self, context: TaskContext) -> Metrics:
        total, count = np.zeros(0), 0
        for one, other in _pairs(context.inputs["data"], context.inputs["like"]):
            rows = np.stack([spectra.power(one), spectra.power(other), spectra.cross_power(one, other)]).sum(axis=1)
            total, count = (rows if count == 0 else total + rows), count + len(one)
        power, power_like, cross = total / count
        context.write_table(
            {"radius": np.arange(len(power)), "power": power, "power_like": power_like, "cross_power": cross}
        )
        return {"n": count}


@dataclass(frozen=True)
class _Filtering:
    """The identity of a filtered set, beside the set and its spectrum."""

    doing = ("filtering", "data set")
    over = "data"
    match: Match
    compute: Compute

    def open(self, inputs: Mapping[str, Artifact], device: str) -> Callable[[Batch], Batch]:
        del device  # Fourier transforms in numpy
        gain = _gain(self.match, inputs["spectrum"].batch())

        def scale(batch: Batch) -> Batch:
            scaled = spectra.scale(batch["image"], gain)
            image = np.clip(scaled, 0.0, 1.0).astype(np.float32)
            return {
                "id": batch["id"],
                "image": image,
                "label": batch["label"],
                "power_before": spectra.power(batch["image"]),
                "power_aim": spectra.power(scaled),  # before it is clipped
                "power": spectra.power(image),
                **truths(batch),
            }

        return scale

    def summarise(self, artifact: Artifact) -> Metrics:
        """By radius: gain, and the power that is left; `clipping`: how far clipping moved the power of a radius from
        the aim, at worst, as a share of the power that it had before the filter."""
        rows = artifact.without_images()
        before, aim, power = (rows[name].mean(axis=0) for name in ("power_before", "power_aim", "power"))
        had = np.maximum(before, np.finfo(np.float64).tiny)
        return {
            "rows": len(rows["id"]),
            "n": len(rows["id"]),
            "gain": tuple(float(gain) for gain in np.sqrt(aim / had)),
            "power": tuple(float(left) for left in power),
            "clipping": float((np.abs(power - aim) / had).max()),
        }


def compare(data: Stage, like: Stage, *, rows: int, name: str) -> Stage:
    """Radial power spectra of two sets with the same ids, and their cross power, as a table by radius."""
    return Stage("spectrum", 1, _SpectraCompared(), {"data": data, "like": like}, name, rows)


def with_spectrum_of(
    data: Stage, like: Stage, compute: Compute, *, match: Match = "power", rows: int, name: str
) -> Stage:
    """`data` with every wave scaled by a gain of its radius, so that it keeps what `like` keeps: same ids, same labels.

    The constant part stays.
    """
    spectrum = compare(data, like, rows=rows, name=f"spectrum for {name}")
    filtering = _Filtering(match, compute.measuring)
    return Stage("filtered", 1, filtering, {"data": data, "spectrum": spectrum}, name, rows)


def _gain(match: Match, spectrum: Batch) -> NDArray[np.float64]:
    """By radius, at least 0; 1 for the constant part, and where one of the sets has nothing."""
    power, power_like, cross = (spectrum[name].astype(np.float64) for name in ("power", "power_like", "cross_power"))
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.sqrt(power_like / power) if match == "power" else cross / np.sqrt(power * power_like)
    gain[0] = 1.0
    return np.where(np.isfinite(gain), np.maximum(gain, 0.0), 1.0)


def _pairs(data: Artifact, like: Artifact) -> Iterator[tuple[Column, Column]]:
    """The images of both, some rows at a time.

    Raises ValueError where their ids are not the same, in the same order.
    """
    for start in range(0, max(data.rows, like.rows), CHUNK_ROWS):
        one, other = (artifact.batch(start, start + CHUNK_ROWS) for artifact in (data, like))
        if not np.array_equal(one["id"], other["id"]):
            raise ValueError(
                f"spectrum: two sets with the same ids, got others in {data.label} and {like.label} from row {start}; "
                "compare a set with what it was made from"
            )
        yield one["image"], other["image"]
