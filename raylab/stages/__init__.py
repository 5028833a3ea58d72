"""One file per kind of artifact: its config, its factory, its body."""
