"""What triggers keep right: counters, feeds, the life of an account."""
