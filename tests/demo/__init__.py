"""The demonstration: its data set and its tour."""
