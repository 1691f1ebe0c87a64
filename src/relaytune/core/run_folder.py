"""Where everything about one run lies, and what each stage was made from."""

from __future__ import annotations

import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from relaytune.core.errors import RelaytuneError
from relaytune.core.files import sha256_of_file, sha256_of_value, write_json
from relaytune.core.results import read_result

ADAPTER_WEIGHTS = "adapter_model.safetensors"  # PEFT's name for it
METRICS = "metrics.jsonl"  # one TrainingStep a line
LIBRARIES = ("torch", "transformers", "peft", "safetensors", "tokenizers", "pydantic", "scipy", "numpy")


class _Place:
    """A path inside the run folder, as an attribute."""

    def __init__(self, inside: str) -> None:
        self._inside = inside

    def __get__(self, run: RunFolder, owner: type[RunFolder]) -> Path:
        return run.path / self._inside


@dataclass(frozen=True)
class RunFolder:
    """`runs/<name>/`: the paths of DESIGN's layout."""

    path: Path

    recipe = _Place("recipe.yaml")
    train = _Place("data/train.jsonl")
    validation = _Place("data/validation.jsonl")
    held_out = _Place("data/held_out.jsonl")
    findings = _Place("data/findings.json")
    quarantine = _Place("data/quarantine.jsonl")  # rows that are not trained on, each with the reason
    excluded = _Place("data/excluded.jsonl")  # the quarantined rows themselves
    audit = _Place("data/audit.jsonl")  # a line for every audited answer
    audit_result = _Place("audit.json")
    verifying = _Place("verifying")  # what a judge answered when it held claims against passages, as it came
    facts = _Place("facts.jsonl")  # a line for every answer of a contender that was held against the sources
    method_or_data = _Place("method_or_data.json")
    trace = _Place("trace.json")
    plan = _Place("plan.json")
    rule = _Place("decision_rule.json")
    sessions = _Place("sessions")
    handoffs = _Place("handoffs")
    adapter = _Place("adapter")
    training = _Place("training.json")
    generations = _Place("generations")
    few_shot_choice = _Place("generations/few_shot_choice.json")
    looks = _Place("looks.json")
    scores = _Place("scores.jsonl")
    judging = _Place("judging")  # what each judge answered, as it came
    judgements = _Place("judgements.jsonl")
    ratings = _Place("ratings.jsonl")
    evaluation = _Place("evaluation.json")
    prompts_evaluation = _Place("prompts_evaluation.json")  # before training: base and few_shot only
    verdict = _Place("verdict.json")
    verdict_text = _Place("verdict.md")
    report = _Place("report.html")
    package = _Place("package")
    notebook = _Place("notebook")

    def session(self, number: int) -> Path:
        """The folder of one session, counted from 1."""
        return self.sessions / f"{number:02d}"

    def session_folders(self) -> list[Path]:
        """The folders of all sessions so far, in order."""
        return sorted(self.sessions.glob("[0-9]*"), key=lambda path: int(path.name))

    @property
    def last_session(self) -> Path:
        """The folder of the latest session; of the first where there is none yet."""
        return [self.session(1), *self.session_folders()][-1]

    def generation(self, name: str) -> Path:
        """The answers of a contender, or of `tuned_on_train`."""
        return self.generations / f"{name}.jsonl"

    def provenance(self, stage: str) -> Path:
        """The record of how a stage's files were made."""
        return self.path / "provenance" / f"{stage}.json"


@dataclass(frozen=True)
class Provenance:
    """How a stage's artifacts came to be: what went in, what came out, with what, where and how long."""

    stage: str
    inputs: Mapping[str, str]  # name → hash of everything the outputs depend on
    outputs: Mapping[str, str]  # path in the run folder → sha256
    recipe_hash: str
    relaytune: str
    libraries: Mapping[str, str]
    device: str
    seed: int
    wall_seconds: float
    finished_at: str
    details: Mapping[str, Any] = field(default_factory=dict)


def library_versions() -> dict[str, str]:
    """Versions of the installed libraries that can change a result."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def relaytune_version() -> str:
    """This relaytune's version."""
    return metadata.version("relaytune")


def source_commit() -> str:
    """The commit of the checkout that this relaytune runs from, with `-dirty` where it was changed since.

    Empty where relaytune was installed otherwise.
    """
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        # a copy that lies in somebody else's checkout is not tracked there
        subprocess.run([*git, "ls-files", "--error-unmatch", Path(__file__).name], check=True, capture_output=True)
        described = subprocess.run(
            [*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return described.stdout.strip()


def now() -> str:
    """The time now, UTC, to the second, ISO 8601."""
    return datetime.now(UTC).replace(microsecond=0).isoformat()


class Stage:
    """One stage of a run: is it up to date, and if not, the record of its making.

    A stage is up to date when the record of its last making names the same inputs and every output still
    has the sha256 that was recorded.
    """

    def __init__(self, run: RunFolder, name: str, inputs: Mapping[str, Any], recipe_hash: str, seed: int) -> None:
        self.run = run
        self.name = name
        self.inputs = {
            key: value if isinstance(value, str) else sha256_of_value(value) for key, value in inputs.items()
        }
        self._recipe_hash = recipe_hash
        self._seed = seed
        self._started = time.perf_counter()

    def stale_because(self) -> str:
        """Why this stage must be made (anew); empty when it is up to date."""
        path = self.run.provenance(self.name)
        if not path.exists():
            return "not made yet"
        try:
            record = read_result(path, Provenance)
        except RelaytuneError:
            return "the record of its making cannot be read"
        changed = sorted(
            key for key in {*record.inputs, *self.inputs} if record.inputs.get(key) != self.inputs.get(key)
        )
        if changed:
            return f"changed: {', '.join(changed)}"
        for name, sha256 in record.outputs.items():
            output = self.run.path / name
            if not output.is_file():
                return f"{name} is missing"
            if sha256_of_file(output) != sha256:
                return f"{name} was altered"
        return ""

    def inputs_changed(self) -> bool:
        """Whether its last making had other inputs; not where it was never finished, or only outputs were altered."""
        path = self.run.provenance(self.name)
        try:
            return path.exists() and read_result(path, Provenance).inputs != self.inputs
        except RelaytuneError:
            return False

    def forget(self) -> None:
        """Call before outputs are touched, so that a stage cut short is never taken for a finished one."""
        self.run.provenance(self.name).unlink(missing_ok=True)
        self._started = time.perf_counter()

    def done(self, outputs: Sequence[Path], device: str = "cpu", **details: Any) -> None:
        """Record what was made."""
        record = Provenance(
            self.name,
            self.inputs,
            {path.relative_to(self.run.path).as_posix(): sha256_of_file(path) for path in outputs},
            self._recipe_hash,
            relaytune_version(),
            library_versions(),
            device,
            self._seed,
            round(time.perf_counter() - self._started, 3),
            datetime.now(UTC).isoformat(timespec="milliseconds"),  # several stages may end within a second
            details,
        )
        write_json(self.run.provenance(self.name), asdict(record))
