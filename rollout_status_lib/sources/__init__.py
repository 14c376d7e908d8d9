"""Where polls come from, one of them for each run, and what stands beside them."""
