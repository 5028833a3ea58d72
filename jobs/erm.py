"""The planet Erm: which features do networks rely on?  (the story of Ilyas et al. 2019, where the truth is known)

python jobs/erm.py                                       # See-Far and digits, embedded, on this machine
python jobs/erm.py configs/erm/worlds.yaml               # the lab's verdict against the truth of 200 cases, 600 worlds
python jobs/erm.py configs/erm/no_toogits.yaml           # the planted truth: a world where nobody can use them
"""

from raylab.stop import importing

with importing():
    from raylab import cli
    from raylab.experiments.erm import EXPERIMENT


def main() -> None:
    cli.run(EXPERIMENT, __doc__)


if __name__ == "__main__":
    main()
