"""A benchmark; a package only so that mypy can tell the prepare.py files apart."""
