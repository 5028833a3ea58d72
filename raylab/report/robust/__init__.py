"""Robust and non-robust data sets: table, verdicts, figures, text and page."""
