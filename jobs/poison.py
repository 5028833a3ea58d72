"""What if the images of D_det keep their labels?  (Tao et al. 2021; Nakkiran, Distill 2019)

python jobs/poison.py                                                # the embedded See-Far, on this machine
python jobs/poison.py configs/poison/digits.yaml attack.eps=1.25
ray job submit --working-dir . -- python jobs/poison.py configs/poison/cifar10.yaml
"""

from raylab.stop import importing

with importing():
    from raylab import cli
    from raylab.experiments.poison import EXPERIMENT


def main() -> None:
    cli.run(EXPERIMENT, __doc__)


if __name__ == "__main__":
    main()
