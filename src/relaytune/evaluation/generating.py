"""Answers of a contender: same rows, same template, same decoding, whoever answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relaytune.core.decoding import Continuations, Sampling, decode, stop_ids
from relaytune.core.model import ModelFolder, load_config, load_model, load_template
from relaytune.core.recipe import Recipe
from relaytune.core.records import Example, Generation
from relaytune.core.screen import Screen
from relaytune.core.sections import JsonCompletion
from relaytune.core.template import ChatTemplate, shared_prefix_length
from relaytune.evaluation.adapters import adapter_on
from relaytune.evaluation.general import MAX_NEW_TOKENS, as_examples, load_general
from relaytune.evaluation.likelihood import completion_log_probs
from relaytune.evaluation.prompting import with_shots


@dataclass(frozen=True)
class Answerer:
    """A loaded model that answers examples."""

    recipe: Recipe
    model: Any
    template: ChatTemplate
    context_tokens: int
    screen: Screen

    @staticmethod
    def load(recipe: Recipe, folder: ModelFolder, device: str, screen: Screen) -> Answerer:
        """The base model."""
        model = load_model(folder, device)
        context_tokens = int(load_config(folder).get("max_position_embeddings", 1 << 30))
        return Answerer(recipe, model.eval(), load_template(folder), context_tokens, screen)

    @contextmanager
    def adapted(self, adapter: Path) -> Iterator[None]:
        """Inside the block the adapter answers; behind it the base model does again, bit for bit as before."""
        with adapter_on(self.model, adapter):
            yield

    def answer(
        self,
        examples: Sequence[Example],
        label: str,
        shots: Sequence[Example] = (),
        *,
        sampling: Sampling | None = None,
        references: bool = False,
    ) -> list[Generation] | None:
        """One generation per example, or None where the longest prompt and its answer exceed the model's context.

        With `references` the log-probability of each example's own completion is saved too (None where it does not fit
        the context).
        """
        prompts = [self.template.prompt_ids(with_shots(example, shots)) for example in examples]
        limit = self.recipe.evaluation.max_new_tokens
        if max(len(prompt) for prompt in prompts) + limit > self.context_tokens:
            return None
        labels = label_continuations(self.recipe, self.template)
        stop = stop_ids(self.model, self.template)
        names = [example.id for example in examples]
        with self.screen.bar(label, len(prompts)) as bar:
            decoded = decode(self.model, prompts, limit, stop, labels, bar.update, sampling, names)
        completions = [
            [*self.template.tokenize(example.completion), self.template.end_of_turn_id] for example in examples
        ]
        likelihoods = self._log_probs(f"{label}, references", prompts, completions) if references else {}
        allowed = self.recipe.contract.allowed_labels
        return [
            Generation(
                example.id,
                with_shots(example, shots),
                self.template.decode(row.ids[:-1] if row.stopped else row.ids),
                "stop" if row.stopped else "length",
                len(row.ids),
                None if row.label_log_probs is None else dict(zip(allowed, row.label_log_probs, strict=True)),
                likelihoods.get(at),
                len(completions[at]) if at in likelihoods else None,
                None if sampling is None else sampling.seed,
            )
            for at, (example, row) in enumerate(zip(examples, decoded, strict=True))
        ]

    def answer_general(self, label: str) -> list[Generation]:
        """Greedy answers to the questions of the general set, and the likelihood of its texts (evaluation/general.py).

        A text's row has no answer; its first token is given, the others count.
        """
        general = load_general()
        examples = as_examples(general.questions)
        prompts = [self.template.prompt_ids(example.messages) for example in examples]
        stop = stop_ids(self.model, self.template)
        with self.screen.bar(label, len(prompts)) as bar:
            decoded = decode(self.model, prompts, MAX_NEW_TOKENS, stop, on_finished=bar.update)
        tokens = [self.template.tokenize(each.text) for each in general.texts]
        likelihoods = self._log_probs(f"{label}, texts", [ids[:1] for ids in tokens], [ids[1:] for ids in tokens])
        return [
            Generation(
                example.id,
                example.messages,
                self.template.decode(row.ids[:-1] if row.stopped else row.ids),
                "stop" if row.stopped else "length",
                len(row.ids),
            )
            for example, row in zip(examples, decoded, strict=True)
        ] + [
            Generation(
                each.id,
                (),
                "",
                "stop",
                0,
                reference_log_prob=likelihoods.get(at),
                reference_tokens=len(tokens[at]) - 1,
            )
            for at, each in enumerate(general.texts)
        ]

    def _log_probs(
        self, label: str, prompts: Sequence[list[int]], completions: Sequence[list[int]]
    ) -> dict[int, float]:
        """By index, of those that fit the model's context."""
        fit = [at for at in range(len(prompts)) if len(prompts[at]) + len(completions[at]) <= self.context_tokens]
        with self.screen.bar(label, len(fit)) as bar:
            found = completion_log_probs(
                self.model, [prompts[at] for at in fit], [completions[at] for at in fit], bar.update
            )
        return dict(zip(fit, found, strict=True))


def label_continuations(recipe: Recipe, template: ChatTemplate) -> Continuations | None:
    """The allowed labels as they would stand at the start of an answer, for comparing their probabilities.

    None where the contract has no labels, or where the label is not the first thing in an answer (its probability
    would then hang on what comes before it).
    """
    labels = recipe.contract.allowed_labels
    if recipe.contract.kind == "labels":
        rows = [[*template.tokenize(label), template.end_of_turn_id] for label in labels]
    elif labels and isinstance(recipe.task.completion, JsonCompletion):
        columns = recipe.task.completion.columns
        if isinstance(columns, str) or columns[0] != recipe.contract.label:
            return None
        behind = f", {json.dumps(columns[1])}: " if len(columns) > 1 else "}"
        rows = [
            template.tokenize(json.dumps({columns[0]: label}, ensure_ascii=False)[:-1] + behind) for label in labels
        ]
    else:
        return None
    head = shared_prefix_length(rows)
    # of what is common behind the labels, the first token says that the label has ended; the rest says nothing
    common = shared_prefix_length([row[head:][::-1] for row in rows])
    tails = [row[head : len(row) - max(0, common - 1)] for row in rows]
    return Continuations(rows[0][:head], tails)
