"""A search over fields of any experiment's config, judged on half of the test images and reported on the other half.

python jobs/sweep.py                                        # configs/sweep/det_digits.yaml: the embedded digits
python jobs/sweep.py configs/sweep/rand_lr.yaml             # the plateau of D_rand over the learning rate
python jobs/sweep.py configs/sweep/det_digits.yaml trials=40 sampler=tpe
ray job submit --working-dir . -- python jobs/sweep.py configs/sweep/transfer_eps.yaml \
  --site configs/site/cluster-gpu.yaml

The same command goes on after a kill. Out comes best.yaml, which the experiment's own job takes.
"""

import sys
from functools import partial
from pathlib import Path

from raylab.stop import importing

with importing():
    from raylab import cli
    from raylab.sweep.config import Sweep
    from raylab.sweep.prepare import prepare
    from raylab.sweep.run import check, run

CONFIGS = Path(__file__).parent.parent / "configs"
DEFAULT = CONFIGS / "sweep" / "det_digits.yaml"


def main() -> None:
    given = sys.argv[1:]
    if not any(text.endswith((".yaml", ".yml")) and "=" not in text for text in _settings(given)):
        given = [str(DEFAULT), *given]
    with cli.job(Sweep, partial(prepare, folder=CONFIGS), __doc__, given) as (studies, site):
        for study in studies:
            check(study.cells, site)
        for study in studies:
            run(study.cells, site)


def _settings(given: list[str]) -> list[str]:
    """Without the file of --site, which is no sweep."""
    return [text for before, text in zip(["", *given], given, strict=False) if before != "--site"]


if __name__ == "__main__":
    main()
