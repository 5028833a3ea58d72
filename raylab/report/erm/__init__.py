"""The planet Erm: the story in numbers, figures and panels."""
