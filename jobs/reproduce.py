"""Every response to the paper, run together, and a scoreboard of published and measured numbers.

python jobs/reproduce.py                                   # suite=embedded: nothing is downloaded
python jobs/reproduce.py suite=small                       # MNIST, Fashion-MNIST and CIFAR-10 too, with RAYLAB_DATA
python jobs/reproduce.py suite=small only="[controls]"     # a suite in parts: of the others, what the store has
ray job submit --working-dir . -- python jobs/reproduce.py suite=full --site configs/site/cluster-gpu.yaml
"""

from raylab.stop import importing

with importing():
    from raylab import entry


def main() -> None:
    entry.reproduce(__doc__)


if __name__ == "__main__":
    main()
