"""The whole API against a model of what the feeds are defined to be."""
