"""Sweeps: a search over the fields of any experiment's config, judged on images that its report never uses."""
