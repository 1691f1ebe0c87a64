"""From a user's files to checked splits: load, render, check, split."""

from relaytune.data.checking import CheckedData, check, raise_on_errors, without_stratum

__all__ = ["CheckedData", "check", "raise_on_errors", "without_stratum"]
