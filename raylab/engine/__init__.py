"""What makes, keeps and finds artifacts: identity, stages, the store, the runner, and what one process does for it."""
