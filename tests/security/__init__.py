"""Nobody gets around the API: what is tried, and the proof that the tests would notice."""
