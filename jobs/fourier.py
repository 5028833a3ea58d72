"""Which frequencies does a network hang on, before and after adversarial training?  (Yin et al. 2019)

python jobs/fourier.py                                         # the embedded See-Far, on this machine
python jobs/fourier.py configs/fourier/digits.yaml heat_map.norm=1.5
ray job submit --working-dir . -- python jobs/fourier.py configs/fourier/cifar10.yaml
"""

from raylab.stop import importing

with importing():
    from raylab import cli
    from raylab.experiments.fourier import EXPERIMENT


def main() -> None:
    cli.run(EXPERIMENT, __doc__)


if __name__ == "__main__":
    main()
