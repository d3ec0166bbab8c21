"""Interleavings of several sessions, each forced, none left to luck."""
