"""The controls with their expected signs: table, figures, text and page."""
