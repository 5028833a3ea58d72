"""What is typed: the options of jobs, and the commands of `raylab store`."""
