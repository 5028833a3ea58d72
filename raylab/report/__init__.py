"""Tables, verdicts, figures, text and HTML: artifacts in, something to read out."""
