"""Reports of a run for --report, and what they tell."""
