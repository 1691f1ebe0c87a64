"""What a run will need, before it starts: pure arithmetic on measured facts, no torch at import."""

from relaytune.planning.hardware import measure_hardware
from relaytune.planning.model_size import read_model_size
from relaytune.planning.planning import make_plan, plan_lines

__all__ = ["make_plan", "measure_hardware", "plan_lines", "read_model_size"]
