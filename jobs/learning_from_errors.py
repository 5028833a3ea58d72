"""Can a network learn from nothing but the errors of another?  (Wallace, Distill 2019)

python jobs/learning_from_errors.py                          # digits, See-Far, photographs, a toy: on this machine
python jobs/learning_from_errors.py configs/learning_from_errors/mnist_to_fashion.yaml        # with RAYLAB_DATA
ray job submit --working-dir . -- python jobs/learning_from_errors.py toy=null errors.rounds=5
"""

from raylab.stop import importing

with importing():
    from raylab import cli
    from raylab.experiments.errors import EXPERIMENT


def main() -> None:
    cli.run(EXPERIMENT, __doc__)


if __name__ == "__main__":
    main()
