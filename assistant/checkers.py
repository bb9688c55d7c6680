"""Which support checker a setting names, and the encoder it shares with search."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.grounding import LocalChecker
from assistant.guarded_checking import GuardedChecker
from assistant.support import SpanEmbedder
from ingest.errors import ConfigurationError
from ingest.local_embedding import LocalEmbedder
from ingest.metering import Meter
from ingest.model import Embedder
from ingest.model_folder import model_in
from ingest.model_hub import HUB_URL, HubModel

if TYPE_CHECKING:
    import openai

    from ingest.redaction import Redactor


class ShippedEncoder:
    """The shipped encoder for similarities: that of search where it is the same, else one of its own.

    Args:
        in_use: the embedders of search now, looked at each time, as the active one may change.
        threads: of onnxruntime, for one of its own.
    """

    def __init__(self, in_use: Callable[[], tuple[Embedder, ...]] = tuple, *, threads: int) -> None:
        self._in_use = in_use
        self._threads = threads
        self._own: LocalEmbedder | None = None

    def __call__(self) -> SpanEmbedder:
        for embedder in self._in_use():
            if isinstance(embedder, LocalEmbedder):
                return embedder
        if self._own is None:
            self._own = LocalEmbedder(threads=self._threads)
        return self._own

    def release(self) -> None:
        """Give the memory of its own back; that of search is for search to release."""
        if self._own is not None:
            self._own.release()


def checker_from(
    setting: str,
    encoder: ShippedEncoder,
    *,
    threads: int = 1,
    models_folder: Path | None = None,
    hub_url: str = HUB_URL,
    chat_model: str | None = None,
    openai_client_factory: Callable[[], openai.OpenAI] | None = None,
    redactor: Redactor | None = None,
    meter: Meter | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> LocalChecker | GuardedChecker:
    """The support checker that QUOTH_CHECKER names. Nothing is loaded or asked for yet.

    Args:
        threads: of a model that runs here.
        models_folder: where models from the hub are kept.
        chat_model: what `chat` asks: the first of QUOTH_MODELS.
        redactor: takes personal data out of what a chat model is asked.
        meter: of the calls of `chat`.
        say: told that a model is being fetched.

    Raises:
        ConfigurationError: for anything else, with what may be set; for a folder that lacks a file.
    """
    local = LocalChecker(encoder, release=encoder.release)
    if setting == "local":
        return local
    kind, _, rest = setting.partition(":")
    named = f"QUOTH_CHECKER={setting!r}"
    if kind in ("onnx", "hub") and rest:
        from assistant.entailment import CONFIG_PLACE, EntailmentJudge, labels_in

        if kind == "onnx":
            folder = Path(rest).expanduser()
            model_in(folder, named)
            labels_in(folder / CONFIG_PLACE)
            name = f"onnx:{folder.resolve().name}"
            return GuardedChecker(EntailmentJudge(lambda: model_in(folder, named), name, threads=threads), local)
        if models_folder is None:
            raise ConfigurationError(f"{named} needs a folder for its files. Set QUOTH_HOME.")
        hub = HubModel.named(rest, named, folder=models_folder, hub_url=hub_url, say=say, also=(CONFIG_PLACE,))
        return GuardedChecker(EntailmentJudge(hub.files, f"hub:{rest}", threads=threads), local)
    if setting == "chat":
        from assistant.chat_judging import ChatJudge

        if chat_model is None or openai_client_factory is None:
            raise ConfigurationError(f"{named} needs a chat model. Set QUOTH_MODELS, or QUOTH_CHECKER to local.")
        return GuardedChecker(ChatJudge(openai_client_factory, chat_model, redactor=redactor, meter=meter), local)
    raise ConfigurationError(f"{named} is not known. Use local, onnx:FOLDER, hub:REPO@REVISION or chat.")
