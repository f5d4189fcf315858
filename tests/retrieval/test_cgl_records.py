"""Recorded losses of every layout against the same values read by json and averaged by loops."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from genret_core.errors import BadInput
from genret_core.retrieval.cgl import cgl_per_query
from genret_core.retrieval.cgl_records import losses_from_records, read_recorded


def published(n_queries: int = 5, n_negatives: int = 256) -> dict[str, dict[str, list[float]]]:
    """Losses as the published code writes them: an alias each, 256 negatives."""
    rng = np.random.default_rng(0)
    return {
        f'who sang "song {i}"?': {
            "pos_loss": rng.gamma(5, 0.5, 1 + i % 3).tolist(),
            "neg_loss": rng.gamma(6, 0.5, n_negatives).tolist(),
        }
        for i in range(n_queries)
    }


def by_hand(records: dict[str, Any], n: int = 256) -> list[float]:
    """The published rule: p = min(pos), S = mean(neg) N, -ln(S / (S + p))."""
    found = []
    for record in records.values():
        p, S = min(record["pos_loss"]), sum(record["neg_loss"]) / len(record["neg_loss"]) * n
        found.append(-math.log(S / (S + p)))
    return found


def layouts(records: dict[str, Any]) -> dict[str, str]:
    """The same losses in every layout that is read, as text by file name."""
    listed = [{"query": query, **record} for query, record in records.items()]
    turned = {key: {query: r[key] for query, r in records.items()} for key in ("neg_loss", "pos_loss")}
    return {
        "nested.json": json.dumps(records),
        "indented.json": json.dumps(records, indent=2),
        "list.json": json.dumps(listed),
        "lines.jsonl": "\n".join(map(json.dumps, listed)) + "\n",
        "query_a_line.jsonl": "".join(json.dumps({q: r}) + "\n\n" for q, r in records.items()),
        "turned.json": json.dumps(turned),
        "packed.json.gz": json.dumps(records),
    }


@pytest.mark.parametrize("name", list(layouts({})))
def test_layouts_hold_the_same(tmp_path: Path, name: str) -> None:
    records = published()
    path, text = tmp_path / name, layouts(records)[name]
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    found = read_recorded(path)
    assert found.queries == list(records) and found.published
    assert found.negatives == (256, 256)
    per_query = cgl_per_query(found.losses, positives="min", n_negatives=256)
    np.testing.assert_allclose(per_query["CGL"], by_hand(records), rtol=1e-12)


@pytest.mark.parametrize("stored", [1, 2, 100])
def test_few_negatives_are_scaled_to_n(stored: int) -> None:
    records = published(n_negatives=stored)
    found = losses_from_records(records)
    per_query = cgl_per_query(found.losses, positives="min", n_negatives=256)
    np.testing.assert_allclose(per_query["CGL"], by_hand(records), rtol=1e-12)
    assert f"{stored} negative" in found.layout
    bare = {q: {**r, "neg_loss": r["neg_loss"][0]} for q, r in records.items()}
    if stored == 1:
        assert losses_from_records(bare).losses.equals(found.losses)


def test_documents_may_list_their_identifiers(tmp_path: Path) -> None:
    records = {
        "a": {"pos_loss": [[4.0, 2.0]], "neg_loss": [[8.0, 2.0], [1.0]]},
        "b": {"pos_loss": [5.0], "neg_loss": [[2.0], 2.0]},
    }
    path = tmp_path / "lists.json"
    path.write_text(json.dumps(records))
    found = read_recorded(path)
    np.testing.assert_allclose(cgl_per_query(found.losses)["CGL"], [math.log1p(3 / 6), math.log1p(5 / 4)])
    assert "list of its identifiers" in found.layout


def test_what_else_is_known_of_an_identifier_is_kept() -> None:
    def loss(nll: float, kind: str) -> dict[str, Any]:
        return {"nll": nll, "tokens": 2, "eos_nll": 0.5, "pad_nll": 3.0, "pads": 4, "kind": kind}

    record = {"pos_loss": [[loss(1, "body"), loss(2, "title")]], "neg_loss": [loss(3, "body")]}
    lines = [{"query_id": name, "query": "same words", **record} for name in ("q1", "q2")]
    found = losses_from_records({line["query_id"]: line for line in lines})
    assert not found.published and found.queries == ["q1", "q2"]
    assert found.losses["kind"].tolist() == ["body", "title", "body"] * 2
    assert found.losses["text"].unique().tolist() == ["same words"]
    assert found.losses[["nll", "tokens", "eos_nll", "pad_nll", "pads"]].iloc[1].tolist() == [2, 2, 0.5, 3, 4]


def test_a_losses_table_is_read_as_it_is(tmp_path: Path) -> None:
    losses = losses_from_records(published()).losses.assign(tokens=7)
    losses.to_parquet(tmp_path / "losses.parquet")
    found = read_recorded(tmp_path / "losses.parquet")
    assert not found.published and found.losses.equals(losses) and found.negatives == (256, 256)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"who": {"pos_loss": [], NEG}}', r"'pos_loss' of the query 'who' is empty"),
        ('{"who": {"pos_loss": [1], "neg_loss": []}}', r"'neg_loss' of the query 'who' is empty"),
        ('{"who": {"pos_loss": [1, NaN], NEG}}', r"'pos_loss' of the query 'who' has the loss nan"),
        ('{"who": {"pos_loss": [1], "neg_loss": [Infinity]}}', r"'neg_loss' of the query 'who' .* inf"),
        ('{"who": {"pos_loss": [-0.5], NEG}}', r"the query 'who' has the loss -0\.5"),
        ('{"who": {"pos_loss": [HUGE], NEG}}', r"'who' has the loss 1000"),
        ('{"who": {"pos_loss": ["1"], NEG}}', r"'who' has a text in place of a loss"),
        ('{"who": {"pos_loss": [true], NEG}}', r"'who' has .* in place of a loss"),
        ('{"who": {"pos_loss": [null], NEG}}', r"'who' has nothing in place of a loss"),
        ('{"who": {"pos_loss": [[]], NEG}}', r"'who' has an empty list for a document"),
        ('{"who": {"pos_loss": [1]}}', r"'neg_loss' of the query 'who' is missing"),
        ('{"who": {"pos_losses": [1], NEG}}', r"'who' has the key 'pos_losses', which is not known"),
        ('{"who": {"pos_loss": [1], "neg_loss": [0, 0]}}', r"'neg_loss' of the query 'who' is zero"),
        ('{"who": {"pos_loss": [1], "pos_loss": [2], NEG}}', r":1: .* 'pos_loss' stands there twice"),
        ('{"who": {"pos_loss": [1], NEG},\n"who": {"pos_loss": [1], NEG}}',
         r":2: the query 'who' stands there twice"),
        ('{"pos_loss": {"who": [1], "who": [2]}, "neg_loss": {"who": [1]}}', r"'who' stands there twice"),
        ('{"pos_loss": {"who": [1]}, "neg_loss": {"what": [1]}}', r"of the query 'who' is missing"),
        ('{"who": [1, 2]}', r"the query 'who' must be an object .*not an array"),
        ('[{"pos_loss": [1], NEG}]', r"a record says no query"),
        ('{"who": {"pos_loss": [{"loss": 1}], NEG}}', r"'who' has the key 'loss'"),
        ('{"who": {"pos_loss": [{"nll": 1, "tokens": 0}], NEG}}', r"'who' has 0 tokens"),
        ('{"who": {"pos_loss": [{"nll": 1, "eos_nll": 1}], NEG}}', r"'who' .* without 'eos_nll'"),
        ('{"who": {"pos_loss": [1], NEG}', r"the file ends"),
        ("who, 1.0, 2.0", r"no JSON|expected|object"),
        ("{}", r"holds no query"),
        ("", r"the file is empty"),
    ],
)  # fmt: skip
def test_bad_records_are_told_in_a_sentence(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "losses.json"
    path.write_text(text.replace("NEG", '"neg_loss": [1.0]').replace("HUGE", "1" + "0" * 400))
    with pytest.raises(BadInput, match=told) as error:
        read_recorded(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_files_that_are_not_what_their_name_says(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        read_recorded(tmp_path / "none.json")
    for name, content in (("a.json", b"\xff\xfe\x00"), ("b.json.gz", b"no gzip"), ("c.parquet", b"PAR")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadInput, match=name):
            read_recorded(tmp_path / name)
    pd.DataFrame({"query": [1]}).to_parquet(tmp_path / "d.parquet")
    with pytest.raises(BadInput, match=r"d\.parquet: .*lacks the column 'document'"):
        read_recorded(tmp_path / "d.parquet")
