"""Contenders answer the same rows; scorers read the saved answers."""
