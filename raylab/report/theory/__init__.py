"""The theory beside what was published of it: table, targets, figures and page."""
