"""Judges: language models and people who compare answers without knowing whose they are."""
