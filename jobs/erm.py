"""The planet Erm: who uses toogits?  (the story of Ilyas et al. 2019, told where the features are known)

python jobs/erm.py                                       # See-Far and digits, embedded, on this machine
python jobs/erm.py configs/erm/worlds.yaml               # the lab's verdict against the truth of 200 cases, 600 worlds
python jobs/erm.py configs/erm/no_toogits.yaml           # the planted truth: a world where nobody can use them
"""

from raylab.stop import importing

with importing():
    from raylab import cli
    from raylab.report.erm.experiment import EXPERIMENT


def main() -> None:
    cli.run(EXPERIMENT, __doc__)


if __name__ == "__main__":
    main()
