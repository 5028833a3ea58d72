"""Learning from errors: table, verdicts, figures, text and page."""
