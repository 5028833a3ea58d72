"""`python -m raylab`, also installed as `raylab`: run experiments, and look at what they have made."""

from raylab.stop import importing

with importing():
    from raylab import entry


def main() -> None:
    entry.main()


if __name__ == "__main__":
    main()
