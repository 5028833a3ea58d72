"""The page of a sweep: objective against each field, learning curves, what was stopped and why, cost."""
