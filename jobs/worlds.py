"""How often is the verdict of the transfer matrix wrong?  See-Far worlds with and without non-robust features.

python jobs/worlds.py                                                 # 20 + 20 cases of the calibration, 3 worlds each
python jobs/worlds.py thresholds=true                                 # and what other thresholds would have said
python jobs/worlds.py split=held_out without=110 having=110           # cases that the thresholds never saw
"""

from raylab.stop import importing

with importing():
    from raylab import cli
    from raylab.experiments.worlds import EXPERIMENT


def main() -> None:
    cli.run(EXPERIMENT, __doc__)


if __name__ == "__main__":
    main()
