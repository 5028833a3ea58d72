"""Is robustness a property of the data?  (Ilyas et al. 2019, section 3.1 and tables 7 and 8)

python jobs/robust_features.py                                       # the embedded See-Far, on this machine
python jobs/robust_features.py configs/robust_features/digits.yaml robustness.rows=100
ray job submit --working-dir . -- python jobs/robust_features.py configs/robust_features/cifar10.yaml
"""

from raylab.stop import importing

with importing():
    from raylab import cli
    from raylab.experiments.robust import EXPERIMENT


def main() -> None:
    cli.run(EXPERIMENT, __doc__)


if __name__ == "__main__":
    main()
