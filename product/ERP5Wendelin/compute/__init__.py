"""Data Transformations at work: Data Analyses are made of them, and run."""
