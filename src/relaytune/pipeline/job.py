"""What every stage works on: a recipe, its run folder, and a screen."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relaytune.core.errors import RunError, UsageError
from relaytune.core.files import no_space_explained, sha256_of_file, write_text
from relaytune.core.model import ModelFolder, find_model
from relaytune.core.recipe import Recipe, dump_recipe, load_recipe
from relaytune.core.records import data_hash, read_examples
from relaytune.core.run_folder import RunFolder, Stage
from relaytune.core.screen import Screen

if TYPE_CHECKING:
    from relaytune.evaluation.generating import Answerer

DEFAULT_RUNS = Path("runs")


@dataclass
class Loaded:
    """What takes long to load and much memory to hold, kept while it is needed."""

    answerer: Answerer | None = None  # the base model, for answers


@dataclass(frozen=True)
class Job:
    """One recipe and its run folder."""

    recipe: Recipe
    recipe_path: Path
    run: RunFolder
    screen: Screen
    overrides: tuple[str, ...] = ()
    loaded: Loaded = field(default_factory=Loaded)
    began: float = field(default_factory=time.monotonic)  # the session's limit counts from here

    def command(self, verb: str) -> str:
        """A command line for this very job, to be typed."""
        words = ["relaytune", verb, str(self.recipe_path)]
        if self.run.path.parent != DEFAULT_RUNS:
            words += ["--runs", str(self.run.path.parent)]
        for override in self.overrides:
            words += ["--set", override]
        return shlex.join(words)

    @cached_property
    def model(self) -> ModelFolder:
        """The base model on this disk."""
        return find_model(self.recipe.base_model, self.screen.say)

    @cached_property
    def model_identity(self) -> dict[str, str]:
        """What answers and training depend on: weights, tokenizer and chat template."""
        return {"weights": self.model.fingerprint, "tokenizer": self.model.tokenizer_hash}

    @property
    def sections(self) -> dict[str, Any]:
        """The recipe's sections as JSON values."""
        return self.recipe.as_json()

    def rows_hash(self, path: Path) -> str:
        """Hash of frozen rows: their content and order, not where they stood.

        Raises:
            RunError: they are not there yet.
        """
        return data_hash(read_examples(self.found(path, "check")))

    def file_hash(self, path: Path, made_by: str) -> str:
        """sha256 of an artifact of an earlier stage.

        Raises:
            RunError: it is not there yet.
        """
        return sha256_of_file(self.found(path, made_by))

    def found(self, path: Path, made_by: str) -> Path:
        """The path of an artifact that an earlier stage has made.

        Raises:
            RunError: it is not there yet.
        """
        if not path.exists():
            raise RunError(
                f"{path}: not there yet. `{self.command(made_by)}` makes it; `{self.command('run')}` makes everything, "
                "in order."
            )
        return path

    def stage(self, name: str, inputs: Mapping[str, Any]) -> Stage:
        """A stage of this run with everything that its outputs depend on."""
        return Stage(self.run, name, inputs, self.recipe.hash, self.recipe.training.seed)

    def make(self, stage: Stage, work: Callable[[], Sequence[Path] | None], device: str = "cpu") -> bool:
        """Do the work unless the stage is up to date; returns whether the stage is now done.

        Work that returns no files has not come to its end: the stage stays unmade. The recipe as resolved is kept
        beside what is made of it.
        """
        reason = stage.stale_because()
        if not reason:
            self.screen.say(f"{stage.name}: up to date")
            return True
        self.screen.heading(f"{stage.name} ({reason})")
        with no_space_explained(self.run.path):
            stage.forget()
        text = dump_recipe(self.recipe)
        if not self.run.recipe.exists() or self.run.recipe.read_text(encoding="utf-8") != text:
            write_text(self.run.recipe, text)
        made = work()
        if made is not None:
            stage.done(made, device)
        return made is not None


def open_job(
    recipe_path: Path | str,
    runs: Path | str = DEFAULT_RUNS,
    overrides: Sequence[str] = (),
    screen: Screen | None = None,
    until: str | None = None,
) -> Job:
    """Read and check the recipe; nothing is written yet. Without a screen nothing is shown.

    Raises:
        RecipeError: the recipe is wrong.
        UsageError: `until` is no time of day, or there is a file where the run folder would be.
    """
    recipe_path, screen = Path(recipe_path), screen or Screen.silent()
    limit = [f"session.limit={_seconds_until(until, datetime.now())}s"] if until else []
    recipe = load_recipe(recipe_path, [*overrides, *limit])
    folder = Path(runs) / recipe.name
    if blocking := [path for path in (folder, *folder.parents) if path.exists() and not path.is_dir()]:
        raise UsageError(f"--runs {runs}: {blocking[0]} is a file; name a folder, which is made if need be")
    if overrides or limit:
        screen.say(f"Overridden: {', '.join([*overrides, *limit])}")
    return Job(recipe, recipe_path, RunFolder(folder), screen, tuple(overrides))


def _seconds_until(time_of_day: str, moment: datetime) -> int:
    """Seconds from now to the next time that the clock here shows `time_of_day`."""
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", time_of_day.strip())
    if not found:
        raise UsageError(f"--until {time_of_day}: a time of day from 0:00 to 23:59 is needed, e.g. 17:30")
    then = moment.replace(hour=int(found[1]), minute=int(found[2]), second=0, microsecond=0)
    if then <= moment:
        then += timedelta(days=1)
    return round((then - moment).total_seconds())
