"""What a run says, for people: tables in the terminal, and one page that needs nothing else."""
