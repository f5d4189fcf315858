"""A trained model as an embedding of texts: the mean over tokens of its last hidden states.

Of a model with an encoder (T5) the encoder's states, else those of the decoder (LLaMA). Two kinds of folders
are read: a cell of a study, whose tokenizer lies with the study's corpus, and any model that transformers
knows, saved with its tokenizer. Nothing is fetched from a network, and no code of a model's own is run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.files import read_json
from genret_core.modeling.cells import choose_device
from genret_core.modeling.quiet import quiet
from genret_core.retrieval.corpus import Corpus
from genret_core.retrieval.stored_embedding import StoredEmbedding
from genret_core.retrieval.template import Template
from genret_core.retrieval.tokenizer import load_tokenizer

MOST_TOKENS = 512  # of a text; what is behind is not read
_BLOCK = 2_048  # texts sorted by length together
_POSITIONS = 8_192  # tokens in a batch, padding included
_TOKENIZER = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.txt", "vocab.json", "merges.txt")
_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")

Tokenize = Callable[[list[str]], list[list[int]]]


@dataclass(frozen=True)
class ModelFolder:
    """Where a model lies.

    Attributes
    ----------
    weights : Path
        Folder with `config.json` and safetensors.
    tokenizer : Path
        Folder of the tokenizer.
    cell : dict or None
        What `cell.json` says, if the model is a cell's.
    """

    weights: Path
    tokenizer: Path
    cell: dict[str, Any] | None

    @staticmethod
    def find(path: str | os.PathLike[str]) -> ModelFolder:
        """Find the parts of a model.

        Parameters
        ----------
        path : path-like
            A cell (`runs/demo/cells/<key>`, or its checkpoint), or a folder that transformers saved; "~" and
            environment variables are replaced.

        Raises
        ------
        BadInput
            There is no model with safetensors, or no tokenizer.
        """
        folder = Path(os.path.expandvars(path)).expanduser()
        if not folder.is_dir():
            raise BadInput(
                f"there is no folder {folder} with a model; give a trained cell (runs/<study>/cells/<key>) "
                "or a folder that transformers saved."
            )
        own = folder.parent if folder.name == "checkpoint" else folder
        if (own / "cell.json").is_file():
            cell: dict[str, Any] = read_json(own / "cell.json")
            found = ModelFolder(own / "checkpoint", _tokenizer_of(own, cell), cell)
        else:
            found = ModelFolder(folder, folder, None)
            if not any((folder / name).is_file() for name in _TOKENIZER):
                raise BadInput(
                    f"{folder} holds no tokenizer (such as tokenizer.json); save it beside the model."
                )
        if not (found.weights / "config.json").is_file() or not list(found.weights.glob("*.safetensors")):
            raise BadInput(
                f"{found.weights} holds no model with config.json and weights as safetensors; save it so "
                "(save_pretrained does)."
            )
        return found

    def files(self) -> tuple[Path, ...]:
        """List all files that decide what the model makes of a text."""
        parts = [self.weights / "config.json", *self.weights.glob("*.safetensors*")]
        names = ("tokenizer.json", "tokenizer.meta.json") if self.cell else (*_TOKENIZER, *_SETTINGS)
        parts += [self.tokenizer / name for name in names if (self.tokenizer / name).is_file()]
        return tuple(sorted(set(parts)))


def _tokenizer_of(own: Path, cell: dict[str, Any]) -> Path:
    """Find the tokenizer of a cell: of its corpus, and the study's where the corpus has several."""
    study = own.parent.parent
    found = sorted((study / "corpus" / str(cell["corpus"])).glob("tokenizer-*"))
    if len(found) > 1 and (study / "inputs.json").is_file():
        key = read_json(study / "inputs.json")["tokenizer"]
        found = [path for path in found if path.name == f"tokenizer-{key}"]
    if len(found) != 1:
        raise BadInput(
            f"{own} is a cell, but the tokenizer that it was trained with is not to be found under "
            f"{study / 'corpus'}; give the cell where it was trained, in its study's folder."
        )
    return found[0]


@dataclass(frozen=True, eq=False)
class TextEncoder:
    """A model that embeds texts.

    Attributes
    ----------
    name : str
        For people.
    model : PreTrainedModel
        Encoder or decoder, without a head.
    tokenize : callable
        Gives the token ids of texts, special tokens included.
    most_tokens : int
        Tokens of a text that are read.
    """

    name: str
    model: Any
    tokenize: Tokenize
    most_tokens: int

    @staticmethod
    def open(path: str | os.PathLike[str], device: str = "cpu") -> TextEncoder:
        """Load a model, see `ModelFolder.find`.

        Raises
        ------
        BadInput
            It cannot be read, or weights are missing.
        """
        found = ModelFolder.find(path)
        model = _load(found.weights).to(device)
        most = getattr(model.config, "max_position_embeddings", None) or MOST_TOKENS
        if found.cell is None:
            tokenize = _published(found.tokenizer)
            name = found.weights.name
        else:
            tokenize = _trained(found.tokenizer, str(found.cell["family"]))
            name = "{backbone}, {method}, seed {seed}".format_map(found.cell)
        return TextEncoder(name, model, tokenize, min(MOST_TOKENS, int(most)))

    def encode(self, texts: Iterable[str], n: int) -> tuple[npt.NDArray[np.float32], int]:
        """Embed texts.

        Parameters
        ----------
        texts : iterable of str
        n : int
            How many.

        Returns
        -------
        vectors : float32[n, dim]
            Of unit length; zero for a text without any token.
        n_cut : int
            Texts that were longer than `most_tokens`.
        """
        vectors, n_cut, start = np.zeros((n, self.model.config.hidden_size), np.float32), 0, 0
        rest = iter(texts)
        while block := list(islice(rest, _BLOCK)):
            ids = self.tokenize(block)
            n_cut += sum(len(one) > self.most_tokens for one in ids)
            ids = [one[: self.most_tokens] for one in ids]
            for places in _batches([len(one) for one in ids]):
                vectors[start + places] = self._mean_states([ids[place] for place in places.tolist()])
            start += len(block)
        return vectors, n_cut

    def _mean_states(self, ids: list[list[int]]) -> npt.NDArray[np.float32]:
        import torch

        width = max(map(len, ids))
        filled, mask = np.zeros((len(ids), width), np.int64), np.zeros((len(ids), width), np.int64)
        for row, one in enumerate(ids):
            filled[row, : len(one)], mask[row, : len(one)] = one, 1
        device = self.model.device
        with torch.inference_mode():
            attention = torch.from_numpy(mask).to(device)
            told = {"input_ids": torch.from_numpy(filled).to(device), "attention_mask": attention}
            states = self.model(**told).last_hidden_state.float()
            mean = (states * attention[:, :, None]).sum(1) / attention.sum(1)[:, None]
            vectors: npt.NDArray[np.float32] = torch.nn.functional.normalize(mean, dim=1).cpu().numpy()
        return vectors


def embed_corpus(corpus: Corpus, path: str, fields: str, *, device: str | None = None) -> StoredEmbedding:
    """Embed all documents of a corpus with a model, and all queries that are not for training.

    Parameters
    ----------
    corpus : Corpus
    path : str
        See `ModelFolder.find`.
    fields : {"text", "title_text"}
    device : str, optional
        As of `cells.run_cell`.

    Raises
    ------
    BadInput
        The model cannot be read, or gives a number that is not finite.
    """
    encoder = TextEncoder.open(path, choose_device(device))
    documents, n_cut = encoder.encode(corpus.document_texts(fields=fields), corpus.n_documents)
    rows = np.unique(np.concatenate([corpus.split_queries(split) for split in ("validation", "test")]))
    queries, _ = encoder.encode(corpus.query_texts(rows), len(rows))
    for vectors, what in ((documents, "documents"), (queries, "queries")):
        if not np.isfinite(vectors).all():
            raise BadInput(
                f"the model in {path} gives numbers that are not finite for {what}; its training has "
                "diverged; take another."
            )
    told = f"Of {n_cut} documents only the first {encoder.most_tokens} tokens were embedded."
    notes = (told,) if n_cut else ()
    source = f"backbone ({encoder.name})"
    return StoredEmbedding(documents, rows.astype(np.int64), queries, source, unit=True, notes=notes)


def _batches(lengths: list[int]) -> Iterator[npt.NDArray[np.int64]]:
    """Cut the places of texts with tokens into batches of like lengths and at most `_POSITIONS` positions."""
    order = np.argsort(lengths, kind="stable")
    order = order[np.asarray(lengths)[order] > 0]
    begin = 0
    for at in range(1, len(order) + 1):
        if at == len(order) or lengths[int(order[at])] * (at + 1 - begin) > _POSITIONS:
            yield order[begin:at]
            begin = at


def _load(folder: Path) -> Any:
    """Load the part of a model that reads texts, in float32."""
    from transformers import (
        MODEL_FOR_TEXT_ENCODING_MAPPING,
        AutoConfig,
        AutoModel,
        AutoModelForTextEncoding,
    )

    safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        with quiet():
            config = AutoConfig.from_pretrained(folder, **safe)
            kind = AutoModelForTextEncoding if type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING else AutoModel
            model, told = kind.from_pretrained(
                folder, config=config, use_safetensors=True, output_loading_info=True, dtype="float32", **safe
            )
    except Exception as error:  # transformers and safetensors raise many kinds for a damaged folder
        raise BadInput(f"the model in {folder} cannot be loaded: {_first_line(error)}") from error
    if told["missing_keys"]:
        name = min(told["missing_keys"])
        raise BadInput(f"the model in {folder} lacks weights, such as {name}; save it whole.")
    return (model.get_encoder() if model.config.is_encoder_decoder else model).eval()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _published(folder: Path) -> Tokenize:
    from transformers import AutoTokenizer

    try:
        loaded = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # as many kinds
        raise BadInput(f"the tokenizer in {folder} cannot be loaded: {_first_line(error)}") from error

    def tokenize(texts: list[str]) -> list[list[int]]:
        ids: list[list[int]] = loaded(texts, padding=False, truncation=False, verbose=False)["input_ids"]
        return ids

    return tokenize


def _trained(folder: Path, family: str) -> Tokenize:
    tokenizer, template = load_tokenizer(folder), Template()

    def tokenize(texts: list[str]) -> list[list[int]]:
        return [ids.tolist() for ids in template.prompts(tokenizer.encode(texts), tokenizer, family)]

    return tokenize
