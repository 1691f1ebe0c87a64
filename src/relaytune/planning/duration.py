"""How long training and evaluation will take: operations divided by measured speed.

The constants come from whole runs on two shared cores with AMX (benchmarks/README.md). On such a machine one step can
take twice the time of another, so predictions are of the right order, not exact.
"""

from __future__ import annotations

import math

from relaytune.core.counts import answers_at_once, num_examples, num_steps
from relaytune.core.precision import Precision
from relaytune.core.recipe import Recipe
from relaytune.core.results import DataSize, Hardware, ModelSize
from relaytune.planning.model_size import layer_matrix_parameters
from relaytune.planning.precision import product_gflops

# Share of the measured matrix-product speed that a training step reaches. Products in bfloat16 take so little
# time that all the rest (norms, softmax, rotation), which stays in float32, weighs more.
EFFICIENCY_TRAINING: dict[str, dict[Precision, float]] = {
    "cpu": {"float32": 0.45, "bfloat16_products": 0.13},
    "cuda": {"float32": 0.9, "bfloat16": 0.9, "float16": 0.9},  # of what one small product reaches there
}
# A GPU waits for Python to start its kernels: this long for one layer, forward and backward, however few tokens
STARTING_SECONDS_PER_LAYER = {"cpu": 0.0, "cuda": 0.007}
EFFICIENCY_ANSWERING = 0.6
DECODING_SECONDS_PER_GB_OF_WEIGHTS = 0.08  # one decoding step on a CPU reads all weights once
DECODING_SECONDS_PER_GB_ON_GPU = 0.01  # the same on a GPU; not measured


def training_seconds(
    recipe: Recipe,
    data: DataSize,
    model: ModelSize,
    hardware: Hardware,
    precision: Precision,
    tokens_per_micro_batch: int,
) -> float:
    """Predict the wall-clock of all training steps and validations, without loading or an early stop.

    Operations of training per token, with N parameters in the layers' matrices: 2 N forward and 2 N for the
    gradient of the activations, 6 per LoRA parameter, and 4 × vocabulary × hidden per supervised token. Frozen
    weights need no gradient of their own, so 4 N and not the usual 6 N (arXiv 2001.08361, section 2.1). The shared
    prefix counts once per micro-batch. Operations inside the attention are left out: a few percent below 512
    tokens. A validation is a forward pass, half of the above.

    Args:
        recipe: epochs, examples per step and validations per epoch.
        data: token counts of the splits.
        model: the base model's shape.
        hardware: measured speeds.
        precision: of the products.
        tokens_per_micro_batch: the largest number of tokens of one forward pass.
    """
    settings = recipe.training
    steps = num_steps(data.num_train, settings.num_epochs, settings.examples_per_step)
    examples = num_examples(data.num_train, settings.num_epochs)
    own_tokens = examples * data.own_tokens_train / data.num_train
    of_training = steps * _micro_batches(own_tokens / steps, data, tokens_per_micro_batch)
    training = forward_and_backward_flops(
        model,
        tokens=own_tokens + of_training * data.shared_prefix_tokens,
        supervised_tokens=examples * data.supervised_tokens_train / data.num_train,
    )

    per_epoch = data.num_train / settings.examples_per_step
    steps_between = max(1, round(per_epoch / settings.validations_per_epoch))
    num_validations = 1 + math.ceil(steps / steps_between)  # one comes before the first step
    of_validation = _micro_batches(data.own_tokens_validation, data, tokens_per_micro_batch)
    validation = 0.5 * forward_and_backward_flops(
        model,
        tokens=data.own_tokens_validation + of_validation * data.shared_prefix_tokens,
        supervised_tokens=data.own_tokens_validation * data.supervised_tokens_train / data.own_tokens_train,
    )
    efficiencies = EFFICIENCY_TRAINING[hardware.device]
    efficiency = efficiencies.get(precision, efficiencies["float32"])
    flops_per_second = 1e9 * product_gflops(hardware, precision) * efficiency
    passes = of_training + 0.5 * num_validations * of_validation
    starting = passes * model.num_layers * STARTING_SECONDS_PER_LAYER[hardware.device]
    return starting + (training + num_validations * validation) / flops_per_second


def evaluation_seconds(recipe: Recipe, data: DataSize, model: ModelSize, hardware: Hardware) -> float:
    """Predict the wall-clock of all answers that an evaluation needs, without loading and scoring.

    Counted are base, few_shot and tuned on the held-out rows, every few-shot trial on the validation rows, and
    tuned on as many training rows as there are held-out rows. The examples in a few-shot prompt belong to the
    prefix that all prompts share. Answers are as long as the training rows' on average; those of base, which was
    never shown one, as long as is allowed.

    Args:
        recipe: evaluation settings.
        data: token counts of the splits.
        model: the base model's shape.
        hardware: measured speeds.
    """
    few_shot, max_new_tokens = recipe.evaluation.few_shot, recipe.evaluation.max_new_tokens
    answer_tokens = min(max_new_tokens, data.supervised_tokens_train / data.num_train)
    example_tokens = data.own_tokens_train / data.num_train
    held_out_tokens = data.own_prompt_tokens_held_out / max(1, data.num_held_out)
    validation_tokens = data.own_tokens_validation / max(1, data.num_validation)
    num_train_answered = min(data.num_held_out, data.num_train)

    def answering(rows: int, own_prompt_tokens: float, new_tokens: float, k: int = 0) -> float:
        prompt_tokens = data.shared_prefix_tokens + k * example_tokens + rows * own_prompt_tokens
        return answering_seconds(model, hardware, rows, prompt_tokens, new_tokens)

    return (
        answering(data.num_held_out, held_out_tokens, max_new_tokens)
        + answering(data.num_held_out, held_out_tokens, answer_tokens, max(few_shot.ks))
        + answering(data.num_held_out, held_out_tokens, answer_tokens)
        + answering(num_train_answered, held_out_tokens, answer_tokens)
        + few_shot.draws * sum(answering(data.num_validation, validation_tokens, answer_tokens, k) for k in few_shot.ks)
    )


def answering_seconds(
    model: ModelSize,
    hardware: Hardware,
    rows: int,
    prompt_tokens: float,
    new_tokens: float,
) -> float:
    """Predict the wall-clock of greedy answers to `rows` prompts. Answers are always computed in float32.

    Reading prompts costs 2 N operations per token. A decoding step reads all weights (float32) once for
    as many rows as are written side by side, and costs 2 N and 2 × vocabulary × hidden operations for each.

    Args:
        model: the base model's shape.
        hardware: measured speeds.
        rows: prompts to answer.
        prompt_tokens: of all prompts together, a shared prefix counted once.
        new_tokens: per answer.
    """
    per_token = 2 * layer_matrix_parameters(model)
    head = 2 * model.vocab_size * model.hidden_size
    flops = per_token * prompt_tokens + (per_token + head) * rows * new_tokens
    flops_per_second = 1e9 * product_gflops(hardware, "float32") * EFFICIENCY_ANSWERING
    on_gpu = hardware.device == "cuda"
    per_gb = DECODING_SECONDS_PER_GB_ON_GPU if on_gpu else DECODING_SECONDS_PER_GB_OF_WEIGHTS
    own_tokens = prompt_tokens / max(rows, 1) + new_tokens
    bytes_per_answer = 2 * model.num_layers * model.num_kv_heads * model.head_dim * own_tokens * 4
    free_bytes = hardware.gpu_memory_gib * 2**30 - 4 * model.num_parameters
    at_once = answers_at_once(on_gpu, free_bytes, bytes_per_answer)
    decoding_steps = math.ceil(rows / at_once) * new_tokens
    return flops / flops_per_second + decoding_steps * per_gb * 4 * model.num_parameters / 1e9


def _micro_batches(own_tokens: float, data: DataSize, tokens_per_micro_batch: int) -> int:
    return math.ceil(own_tokens / max(1, tokens_per_micro_batch - data.shared_prefix_tokens))


def forward_and_backward_flops(model: ModelSize, tokens: float, supervised_tokens: float) -> float:
    """Operations of training on so many tokens, a shared prefix counted once (see `training_seconds`)."""
    per_token = 4 * layer_matrix_parameters(model) + 6 * model.num_lora_parameters
    return per_token * tokens + 4 * model.vocab_size * model.hidden_size * supervised_tokens
