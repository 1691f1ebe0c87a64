"""What the stages conclude, as they write it to JSON and later stages read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from relaytune.core.errors import RunError
from relaytune.core.files import read_json, read_jsonl, write_json
from relaytune.core.metrics import Metric
from relaytune.core.precision import Precision
from relaytune.core.statistics import Agreement, CorrectedMean

Record = TypeVar("Record")
Interval = tuple[float, float] | None

ClauseRole = Literal["keep_when", "never_when", "discard_when"]


@dataclass(frozen=True)
class Hardware:
    """This machine, as measured. Products per second are multiply-adds × 2."""

    device: str  # "cpu" or "cuda"
    name: str
    num_cores: int
    num_gpus: int
    memory_gib: float
    free_memory_gib: float
    gpu_memory_gib: float
    free_disk_gib: float
    product_gflops: Mapping[Precision, float]  # those that it offers; empty where neither torch nor numpy is there


@dataclass(frozen=True)
class DataSize:
    """Token counts of the frozen splits. The shared prefix is what every prompt of the task begins with."""

    num_train: int
    num_validation: int
    num_held_out: int
    shared_prefix_tokens: int
    own_tokens_train: int  # prompt and completion after the shared prefix, summed over the training rows
    own_tokens_validation: int
    own_prompt_tokens_held_out: int
    supervised_tokens_train: int
    longest_tokens: int


@dataclass(frozen=True)
class ModelSize:
    """The shape of a base model, read from its configuration."""

    num_parameters: int
    num_layers: int
    hidden_size: int
    intermediate_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int
    num_lora_parameters: int


@dataclass(frozen=True)
class Plan:
    """What a run will need, predicted before anything is trained."""

    hardware: Hardware
    data: DataSize
    model: ModelSize
    precision: Precision
    precision_reason: str
    num_steps: int
    max_tokens_per_micro_batch: int
    peak_memory_gib: float
    disk_gib: float
    training_seconds: float
    evaluation_seconds: float
    smallest_detectable_difference: float
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class TrainingStep:
    """One optimizer step, a line of metrics.jsonl. Losses are means over supervised tokens, in nats."""

    step: int
    num_examples: int  # seen so far, this step included
    num_tokens: int  # tokens run through the model so far
    train_loss: float | None  # None where it was no number
    learning_rate: float
    grad_norm: float | None
    seconds: float  # since the session began to train
    validation_loss: float | None = None
    skipped: bool = False  # its gradients overflowed in float16; nothing was changed


@dataclass(frozen=True)
class TrainingResult:
    """What training did, all sessions together (training.json); machine and peak memory are the last session's."""

    num_sessions: int
    device: str
    precision: str
    num_steps: int
    num_skipped_steps: int  # in float16; the others are the effective ones
    planned_steps: int
    num_examples: int
    num_tokens: int
    num_supervised_tokens: int
    best_step: int
    best_validation_loss: float
    first_validation_loss: float
    stopped_early: bool
    wall_seconds: float
    examples_per_second: float
    peak_memory_gib: float
    supervised_text_shown: tuple[str, ...]

    @property
    def num_effective_steps(self) -> int:
        """Steps that changed the adapter."""
        return self.num_steps - self.num_skipped_steps


@dataclass(frozen=True)
class Estimate:
    """A share of right answers, or a mean, with its 95% interval; unscored answers are counted apart.

    The interval is None where too few answers are scored to state one, the value where none is.
    """

    value: float | None
    low: float | None
    high: float | None
    scored: int
    unscored: int
    right: int | None = None  # of a share


@dataclass(frozen=True)
class ContenderResult:
    """How one contender answered the held-out rows."""

    contender: str
    estimates: Mapping[str, Estimate]  # metric → its estimate; without those of pairs only
    num_answers: int
    num_truncated: int
    mean_num_tokens: float
    mean_num_characters: float
    # expected label → given label → count; "(none)" where no allowed label was given. Empty without labels.
    confusion: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Comparison:
    """Two contenders on the same rows (rows scored for both).

    `difference` is contender minus other: of shares, of means, or the share of rows won minus that of rows lost.
    Rows with the same prompt are one cluster.
    """

    metric: str
    contender: str
    other: str
    num_pairs: int
    num_unscored: int
    num_clusters: int
    wins: int  # rows with a higher value than the other's
    losses: int
    both_right: int | None  # of shares
    difference: float
    low: float | None  # 95%; None where too few rows are compared to state it
    high: float | None
    p_value: float  # of no difference, two-sided
    adjusted_p_value: float  # Holm, over the metrics of the same group for these two


@dataclass(frozen=True)
class Forgetting:
    """The general set, which has nothing to do with the task: how many questions and texts."""

    num_questions: int
    num_texts: int


@dataclass(frozen=True)
class FewShotTrial:
    """One prompt tried on validation rows."""

    k: int
    draw: int
    example_ids: tuple[str, ...]
    rate: float
    num_validation: int


@dataclass(frozen=True)
class FewShotChoice:
    """Which examples stand in the few_shot contender's prompt, and how they were chosen."""

    metric: str
    trials: tuple[FewShotTrial, ...]
    chosen: FewShotTrial


@dataclass(frozen=True)
class Share:
    """`count` of `total`, with a 95% interval (None where there are too few)."""

    count: float
    total: int
    share: float | None
    interval: Interval


@dataclass(frozen=True)
class WinLoss:
    """Pairs won, lost and tied, share won - share lost with its 95% interval, and p of the sign test."""

    wins: int
    losses: int
    ties: int
    difference: float | None
    interval: Interval
    p_value: float

    @property
    def win_rate(self) -> float | None:
        """Share won, a tie counting half."""
        return None if self.difference is None else (1 + self.difference) / 2

    @property
    def decided_win_rate(self) -> float | None:
        """Share won of the pairs that were not tied.

        A judge's noise and its taste for a place make ties, which draw `win_rate` towards a half and move this little.
        """
        decided = self.wins + self.losses
        return self.wins / decided if decided else None


@dataclass(frozen=True)
class PreferenceSummary:
    """What one judge says of a contender against another, over all examples."""

    judge: str
    contender: str
    other: str
    result: WinLoss
    num_inconsistent: int  # among the ties: the two orders disagree
    num_identical: int  # among the ties: the same text twice
    num_unscored: int
    unscored_reasons: Mapping[str, int]
    consistency: Share  # of the pairs asked and scored, those judged alike in both orders
    # verdicts for the answer shown first, of pairs that both orders decided, or of one order if only one was judged
    first_slot: Share
    num_one_order: int  # pairs that were judged in one order only
    longer_wins: Share  # of decided pairs whose answers differ in length
    length_matched: WinLoss  # of pairs with answers of about the same length
    caution: str  # that the preference may be one for length; empty where nothing says so
    refused: str  # why no verdict is stated; empty where one is

    @property
    def num_scored(self) -> int:
        """Pairs with a verdict, ties included."""
        return self.result.wins + self.result.losses + self.result.ties


@dataclass(frozen=True)
class RaterAgreement:
    """How far two raters, judges or people, agree on one thing: a pair of contenders, or a criterion."""

    first: str
    second: str
    about: str
    agreement: Agreement


@dataclass(frozen=True)
class HumanCorrection:
    """What people would have said of all rows, told from the rows that they labelled and a judge's labels of all.

    A mean of wins (1), ties (0) and losses (-1), or of points.
    """

    judge: str
    about: str
    contender: str
    judged: float  # the judge's own mean of all rows
    corrected: CorrectedMean


@dataclass(frozen=True)
class JudgingResult:
    """Everything that judges and people said of the answers, and what it is worth."""

    summaries: tuple[PreferenceSummary, ...]  # of each judge on each pair of contenders
    agreements: tuple[RaterAgreement, ...]
    corrections: tuple[HumanCorrection, ...]
    raters: tuple[str, ...]  # judges and people who gave points
    num_unscored_ratings: int
    # "tied, points equal", "decided, points equal", …: rows of each; None where there are not both to compare
    equal_points: Mapping[str, int] | None
    stamps: tuple[str, ...]  # what every report with these judges must say


@dataclass(frozen=True)
class WrongClaim:
    """A claim of an answer that the sources contradict, with the words that contradict it."""

    id: str  # of the example
    question: str
    part: Literal["question", "answer"]  # question: a premise that the answer builds on
    claim: str
    verifier: str
    reason: str
    quotation: str  # of the first source; empty where the verifier quotes none
    citation: str


@dataclass(frozen=True)
class FactsResult:
    """What holding the answers against the sources found, beside the estimates and comparisons."""

    verifiers: tuple[str, ...]  # who gave verdicts
    contender: str  # whose wrong claims stand here: the first in order; those of all stand in facts.jsonl
    wrong_claims: tuple[WrongClaim, ...]


@dataclass(frozen=True)
class EvaluationResult:
    """Everything that was found on the held-out rows."""

    main_metric: str
    metrics: Mapping[str, Metric]
    num_held_out: int
    num_prompts: int  # different ones among the held-out rows
    contenders: Mapping[str, ContenderResult]
    comparisons: tuple[Comparison, ...]
    best_prompt: Mapping[str, str]  # metric → base or few_shot, whichever does better (base on a tie)
    train_estimate: Estimate | None  # main metric of tuned on training rows; None before training
    num_train_answered: int
    smallest_detectable_difference: float
    few_shot: FewShotChoice | None
    forgetting: Forgetting | None
    judging: JudgingResult | None
    notes: Mapping[str, str]  # metric → what to know when reading it
    facts: FactsResult | None = None  # None where answers are not held against sources

    def judging_refused(self, metric: str, contender: str, other: str) -> str:
        """Why the judges' preference is not stated; empty where one is, and for other metrics."""
        if self.judging is None or self.metrics[metric].kind != "preference":
            return ""
        about = [row for row in self.judging.summaries if {row.contender, row.other} == {contender, other}]
        refusals = [f"{row.judge}: {row.refused}" for row in about if row.refused]
        return "; ".join(refusals) if len(refusals) == len(about) else ""


@dataclass(frozen=True)
class ClauseResult:
    """One sentence of the rule, applied."""

    text: str
    role: ClauseRole
    holds: bool
    evidence: str


@dataclass(frozen=True)
class Diagnosis:
    """One thing that the evidence shows, and the one change that it suggests."""

    name: str
    evidence: str
    next_change: str


@dataclass(frozen=True)
class Verdict:
    """Keep, iterate (with the one next change) or discard."""

    outcome: Literal["keep", "iterate", "discard"]
    reason: str
    next_change: str
    clauses: tuple[ClauseResult, ...]
    diagnoses: tuple[Diagnosis, ...]
    remaining_risks: tuple[str, ...]
    rule_hash: str
    rule_changed_after_evaluation: bool
    rule_history: tuple[Mapping[str, str], ...]
    decided_at: str


def as_dict(result: object) -> dict[str, Any]:
    """A frozen dataclass of this module as plain JSON values."""
    return asdict(result)  # type: ignore[call-overload, no-any-return]


def write_result(path: Path, result: object) -> None:
    """Write a frozen dataclass of this module as JSON."""
    write_json(path, as_dict(result))


def read_result(path: Path, kind: type[Record]) -> Record:
    """Read what `write_result` wrote.

    Raises:
        RunError: there is no such file, or it was written by another version.
        DataError: the file is damaged.
    """
    return _read(path, read_json, TypeAdapter(kind), f"a {kind.__name__}")


def read_steps(path: Path) -> list[TrainingStep]:
    """The steps of one session's metrics.jsonl, without a line that was left half-written. Raises as `read_result`."""
    return _read(path, partial(read_jsonl, may_be_cut=True), TypeAdapter(list[TrainingStep]), "rows of TrainingStep")


def _read(path: Path, reader: Callable[[Path], Any], kind: TypeAdapter[Record], what: str) -> Record:
    if not path.exists():
        raise RunError(f"{path}: not there yet; `relaytune status` names the command that makes it")
    try:
        return kind.validate_python(reader(path))
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'the whole'}: {fault['msg']}" for fault in error.errors()
        )
        raise RunError(
            f"{path}: not {what} of this version of relaytune ({faults}). Delete it; `relaytune run` makes it anew."
        ) from error
