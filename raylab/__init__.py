"""raylab: a laboratory on Ray for the question "are adversarial examples bugs or features?"."""

__version__ = "0.1.0"
