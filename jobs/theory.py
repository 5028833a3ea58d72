"""Worlds where the answer is known.  (Ilyas et al. 2019, section 4, and the discussion of their paper)

python jobs/theory.py                                     # embedded; MNIST too where RAYLAB_DATA has it
python jobs/theory.py configs/theory/cifar10.yaml         # Goh's plane of trucks and frogs
python jobs/theory.py squares.dimensions="[100]" seeds="[0, 1, 2]"
"""

from raylab.stop import importing

with importing():
    from raylab import cli
    from raylab.experiments.theory import EXPERIMENT


def main() -> None:
    cli.run(EXPERIMENT, __doc__)


if __name__ == "__main__":
    main()
