"""The target numbers of the field beside ours, and what the rule says of each."""
