"""The import of follower graphs from files."""
