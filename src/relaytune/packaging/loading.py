"""The Python lines of the model card: how plain transformers and PEFT load the base model and the adapter."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from relaytune.core.recipe import Recipe
from relaytune.core.records import Message
from relaytune.core.sections import BaseModelChoice


@dataclass(frozen=True)
class BaseModelCode:
    """A base model in Python: the lines that it needs first, and the arguments of `from_pretrained`."""

    kind: Literal["hub", "folder", "gguf", "package"]
    setup: tuple[str, ...]
    arguments: str


def base_model_code(choice: BaseModelChoice) -> BaseModelCode:
    """How `from_pretrained` is given this base model, whichever way the recipe names it."""
    name = choice.name
    if choice.in_package:
        module, file = choice.in_package
        folder, _, last = file.rpartition("/")
        # find_spec, not import: importing the package may need dependencies that nobody has
        setup = [
            "from importlib.util import find_spec",
            f"folder = find_spec({_literal(module)}).submodule_search_locations[0]"
            + (f" + {_literal('/' + folder)}" if folder else ""),
        ]
        return BaseModelCode("package", tuple(setup), f"folder, gguf_file={_literal(last)}")
    if name.endswith(".gguf"):
        path = Path(name)
        setup = ["from pathlib import Path", f"folder = Path({_literal(path.parent.as_posix())}).expanduser()"]
        return BaseModelCode("gguf", tuple(setup), f"folder, gguf_file={_literal(path.name)}")
    if choice.is_hub_id:
        revision = f", revision={_literal(choice.revision)}" if choice.revision else ""
        return BaseModelCode("hub", (), f"{_literal(name)}{revision}")
    setup = ["from pathlib import Path", f"folder = Path({_literal(name)}).expanduser()"]
    return BaseModelCode("folder", tuple(setup), "folder")


def loading_lines(recipe: Recipe) -> str:
    """Python that loads the base model and the adapter on top, run in the package's folder."""
    code = base_model_code(recipe.base_model)
    imports = [line for line in code.setup if line.startswith("from ")]
    rest = [line for line in code.setup if not line.startswith("from ")]
    lines = [
        *imports,
        "from peft import PeftModel",
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        *rest,
        f'base = AutoModelForCausalLM.from_pretrained({code.arguments}, dtype="float32")',
        'model = PeftModel.from_pretrained(base, ".")',
    ]
    return "\n".join(lines)


def asking_lines(recipe: Recipe) -> str:
    """Python that asks the loaded model one question, with the messages and the decoding of the evaluation."""
    code = base_model_code(recipe.base_model)
    return "\n".join(
        [
            f"tokenizer = AutoTokenizer.from_pretrained({code.arguments})",
            "messages = [",
            *(line for message in example_messages(recipe) for line in _message_lines(message)),
            "]",
            "prompt = tokenizer.apply_chat_template(",
            '    messages, add_generation_prompt=True, return_tensors="pt", return_dict=True',
            ")",
            f"tokens = model.generate(**prompt, {_decoding(recipe)})",
            'print(tokenizer.decode(tokens[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))',
        ]
    )


def _decoding(recipe: Recipe) -> str:
    chosen = recipe.evaluation
    length = f"max_new_tokens={chosen.max_new_tokens}"
    if not chosen.temperature:
        return f"{length}, do_sample=False"
    return f"{length}, do_sample=True, temperature={chosen.temperature}, top_p={chosen.top_p}, top_k=0"


def example_messages(recipe: Recipe) -> list[Message]:
    """The messages that the adapter was trained on, with `{column}` where a row's value stands."""
    task = recipe.task
    if task.input is None:
        return [{"role": "user", "content": "..."}]
    system: list[Message] = [{"role": "system", "content": task.instruction}] if task.instruction else []
    return [*system, {"role": "user", "content": task.input}]


def _message_lines(message: Message) -> Sequence[str]:
    lines = message["content"].splitlines(keepends=True) or [""]
    if len(lines) == 1:
        return [f'    {{"role": {_literal(message["role"])}, "content": {_literal(lines[0])}}},']
    return [
        "    {",
        f'        "role": {_literal(message["role"])},',
        '        "content": (',
        *(f"            {_literal(line)}" for line in lines),
        "        ),",
        "    },",
    ]


def _literal(text: str) -> str:
    """A text as a Python literal in double quotes; JSON's escapes mean the same in Python."""
    return json.dumps(text, ensure_ascii=False)
