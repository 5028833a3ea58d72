"""What is the accuracy of a constructed set worth?  (Jordan, Goh, Nakkiran, Park et al. and Ilyas et al.)

python jobs/controls.py                                 # the synthetic world See-Far, on this machine
python jobs/controls.py configs/controls/seefar.yaml configs/controls/digits.yaml
ray job submit --working-dir . -- python jobs/controls.py configs/controls/digits.yaml
"""

from raylab.stop import importing

with importing():
    from raylab import cli
    from raylab.experiments.controls import EXPERIMENT


def main() -> None:
    cli.run(EXPERIMENT, __doc__)


if __name__ == "__main__":
    main()
