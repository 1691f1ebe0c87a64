"""The one tree of errors that relaytune raises.

    RelaytuneError            exit code 1 unless said otherwise
    ├── UsageError            2: the command is wrong
    ├── RecipeError           2: the recipe is wrong (all its problems at once)
    ├── ModelError            2: the base model cannot be had, or does not fit the recipe
    ├── DataError             1: the data falls short (all its faults at once)
    ├── RunError              1: the run folder is missing something, or contradicts the recipe
    │   └── HandoffError      1: a handoff is damaged, or belongs to another run
    ├── StoreError            1: the store of handoffs does not answer, or refuses
    ├── JudgeError            1: the server of a judge does not answer, or refuses
    └── MachineError          1: this machine falls short (disk, memory, a missing package)

Every message says what, where, the value seen, what is allowed, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class RelaytuneError(Exception):
    """Anything that relaytune refuses to do, with the reason."""

    exit_code = 1

    def __reduce__(self) -> tuple[Any, ...]:
        # a worker process hands its error on as a pickle; an exception's own would call __init__ with the message alone
        return _restored, (type(self), self.args), self.__dict__


def _restored(kind: type[RelaytuneError], arguments: tuple[Any, ...]) -> RelaytuneError:
    return kind.__new__(kind, *arguments)


class UsageError(RelaytuneError):
    """The command itself is wrong."""

    exit_code = 2


class RecipeError(RelaytuneError):
    """The recipe is wrong; `problems` holds every fault that was found."""

    exit_code = 2

    def __init__(self, where: str, problems: Sequence[str]) -> None:
        self.where = where
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__(f"{where}: {count}\n{lines}")


class ModelError(RelaytuneError):
    """The base model cannot be had, or does not have what the recipe names.

    `key` is the recipe's key that names the model, empty where the problem lies elsewhere.
    """

    exit_code = 2

    def __init__(self, problem: str, key: str = "") -> None:
        self.problem = problem
        self.key = key
        super().__init__(f"{key}: {problem}" if key else problem)


class DataError(RelaytuneError):
    """The training or held-out data falls short."""


class RunError(RelaytuneError):
    """The run folder lacks something, or does not belong to this recipe."""


class HandoffError(RunError):
    """A handoff is damaged, of a newer format, or belongs to another run."""


class StoreError(RelaytuneError):
    """The store of handoffs does not answer, or refuses."""


class JudgeError(RelaytuneError):
    """The server of a judge does not answer, or refuses."""


class MachineError(RelaytuneError):
    """This machine lacks disk, memory or a package."""
