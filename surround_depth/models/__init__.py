"""The student network: what it is made of, and how it is stored."""
