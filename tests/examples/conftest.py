"""Tests of examples read what benchmarks read: the truth of the advisor example."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
