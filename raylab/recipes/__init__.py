"""What we want to know: a config and a plan of stages for each experiment. No Ray, no paths, no devices."""
