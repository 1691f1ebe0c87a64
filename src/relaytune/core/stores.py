"""The kinds of store that handoffs can be kept in, and what each needs."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class StoreKind:
    """What a machine needs for a store of this kind."""

    package: str
    extra: str  # of relaytune, which brings the package
    secrets: tuple[str, ...] = ()  # in the environment
    optional_secrets: tuple[str, ...] = ()


STORE_KINDS = {  # by the scheme of the store's URL
    "": StoreKind("fsspec", "train"),  # a folder
    "s3": StoreKind(
        "s3fs",
        "s3",
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"),
    ),
    "gs": StoreKind("gcsfs", "gs", ("GOOGLE_APPLICATION_CREDENTIALS",)),
    "hf": StoreKind("huggingface_hub", "train", ("HF_TOKEN",)),
}


def store_kind(url: str) -> StoreKind:
    """What the store at this address needs."""
    return STORE_KINDS[urlsplit(url).scheme]
