"""The transfer matrix: what its cells say, as table, verdicts, figures, text and page."""
