"""Fourier analysis of robustness: heat maps, corruptions, filtered noise, training on a band of frequencies."""
