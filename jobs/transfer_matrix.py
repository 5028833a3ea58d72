"""Do the perturbations of one network teach another?  (Ilyas et al. 2019, section 3.2 and figure 3)

python jobs/transfer_matrix.py                                        # the embedded digits, on this machine
python jobs/transfer_matrix.py configs/transfer_matrix/mnist.yaml attack.eps=1.5
ray job submit --working-dir . -- python jobs/transfer_matrix.py configs/transfer_matrix/cifar10.yaml
"""

from raylab.stop import importing

with importing():
    from raylab import cli
    from raylab.experiments.transfer import EXPERIMENT


def main() -> None:
    cli.run(EXPERIMENT, __doc__)


if __name__ == "__main__":
    main()
