"""A search over fields of any experiment's config, judged on half of the test images and reported on the other half.

python jobs/sweep.py                                        # configs/sweep/det_digits.yaml: the embedded digits
python jobs/sweep.py configs/sweep/rand_lr.yaml             # the plateau of D_rand over the learning rate
python jobs/sweep.py configs/sweep/det_digits.yaml trials=40 sampler=tpe
ray job submit --working-dir . -- python jobs/sweep.py configs/sweep/transfer_eps.yaml \
  --site configs/site/cluster-gpu.yaml

The same command goes on after a kill. Out comes best.yaml, which the experiment's own job takes.
"""

from raylab.stop import importing

with importing():
    from raylab import entry


def main() -> None:
    entry.sweep(__doc__)


if __name__ == "__main__":
    main()
