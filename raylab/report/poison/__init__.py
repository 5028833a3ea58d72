"""Poisons that change no label, and a trigger: what they do to networks, and what is seen of them."""
