"""Asking a model many things, over the OpenAI protocol or on this machine: quoted, logged, resumed, counted."""
