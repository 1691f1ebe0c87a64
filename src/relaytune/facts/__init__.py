"""Answers held against sources: reading, retrieving, splitting into claims, verifying, auditing, the gate."""
