"""A corpus of millions of passages through import, tokens, index and search: seconds and memory of each step.

`make bench-corpus`, or `python tests/benchmarks/corpus_scale.py --passages 100000`. Passages of 100 words by
Zipf's law are written as DPR keeps them (see `zipf_passages`), imported, tokenised, indexed and searched with
an untrained T5 and LLaMA; BM25 stands beside. Every step runs in processes of its own; their memory is summed
over all of them every 0.1 s. `held` counts the pages of mapped files, which the system may take back; `own`
is what it cannot. Seconds depend on what else the machine does: processor time and load stand beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

VOCABULARY, QUERIES, NEW_TOKENS = 8_192, 8, 10
BEAMS = (10, 100)


# ---- the steps, each called in a fresh process ----


def passages(folder: Path, n: int, jobs: int) -> dict[str, Any]:
    """Write the files."""
    from zipf_passages import write_passages

    return {"bytes": sum(path.stat().st_size for path in write_passages(folder, n))}


def corpus(folder: Path, n: int, jobs: int) -> dict[str, Any]:
    """Write the memory-mapped corpus from the imported collection."""
    from genret_core.retrieval.readers import read_collection

    return {"documents": read_collection(folder / "corpus", folder / "beir").n_documents}


def index(folder: Path, n: int, jobs: int) -> dict[str, Any]:
    """Train the tokenizer, tokenise and index, as `genret index build` does."""
    from genret_core.workbench.retriever.index_folder import build_index

    began = last = time.perf_counter()
    stages: dict[str, float] = {}

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal last
        name = stage if stages else "training the tokenizer"
        now = time.perf_counter()
        stages[name] = stages.get(name, 0.0) + now - last
        last = now

    made = build_index(
        str(folder / "corpus"), folder / "index", vocab_size=VOCABULARY, jobs=jobs, progress=progress
    )
    stages["checking"] = time.perf_counter() - last
    return {
        "tokens": made.n_tokens,
        "seconds_inside": round(time.perf_counter() - began, 1),
        "stages": {name: round(seconds, 1) for name, seconds in stages.items()},
    }


def check(folder: Path, n: int, jobs: int) -> dict[str, Any]:
    """Compare the counts and places of n-grams with those of a scan over all tokens."""
    import numpy as np

    from genret_core.retrieval.token_stream import TokenStream
    from genret_core.workbench.retriever.index_folder import open_index

    searchable = open_index(str(folder / "index"))
    stream = TokenStream.open(folder / "index")
    rng = np.random.default_rng(1)
    tokens = np.asarray(stream.ids)
    for row in rng.integers(0, n, 20).tolist():
        at, length = int(stream.doc_starts[row]), int(rng.integers(1, 6))
        gram = tokens[at : at + length].tolist()
        places = np.flatnonzero(tokens[: len(tokens) - length] == gram[0])
        for j, token in enumerate(gram[1:], 1):
            places = places[tokens[places + j] == token]
        assert searchable.index.count([gram])[0] == len(places)
        documents, offsets = searchable.index.locate(gram)
        found = searchable.index.document_start(documents) + offsets
        np.testing.assert_array_equal(np.sort(found), places)
    return {"n_grams": 20}


def search(folder: Path, n: int, jobs: int, family: str = "t5", beam: int = 10) -> dict[str, Any]:
    """Search test queries with an untrained model; the time of the index, the model and the scoring."""
    import torch

    from genret_core.modeling.backbones import Backbone
    from genret_core.retrieval import beam_search as search_module
    from genret_core.retrieval.ranking import rank_ngrams
    from genret_core.retrieval.template import Template
    from genret_core.workbench.retriever.index_folder import open_index

    torch.set_num_threads(1)
    began = time.perf_counter()
    searchable = open_index(str(folder / "index"))
    opened = time.perf_counter() - began
    tokenizer = searchable.tokenizer
    backbone = Backbone("bench", family, d_model=256, n_layers=4, n_heads=4, d_ff=512)
    model = backbone.build(tokenizer.size, pad_id=tokenizer.pad_id, eos_id=tokenizer.eos_id, seed=0)
    rows = searchable.corpus.split_queries("test")[:QUERIES]
    asked = tokenizer.encode(list(searchable.corpus.query_texts(rows)))
    in_index = [0.0]
    step = search_module.top_valid

    def timed(*args: Any, **options: Any) -> Any:
        at = time.perf_counter()
        found = step(*args, **options)
        in_index[0] += time.perf_counter() - at
        return found

    search_module.top_valid = timed
    prompts = Template().prompts(asked, tokenizer, family)
    began = time.perf_counter()
    found = search_module.beam_search(
        model, searchable.index, prompts, beam=beam, max_new_tokens=NEW_TOKENS, family=family,
        pad_id=tokenizer.pad_id, eos_id=tokenizer.eos_id, first_tokens=tokenizer.word_start,
    )  # fmt: skip
    searched = time.perf_counter() - began
    began = time.perf_counter()
    ranking = rank_ngrams(found, searchable.index, len(rows))
    scored = time.perf_counter() - began
    assert (found.count > 0).all() and len(ranking)
    return {
        "parameters": backbone.parameters(tokenizer.size)[0],
        "open_s": round(opened, 2),
        "search_s_per_query": round(searched / len(rows), 3),
        "index_share": round(in_index[0] / searched, 3),
        "scoring_s_per_query": round(scored / len(rows), 3),
        "keys": len(found),
    }


def bm25(folder: Path, n: int, jobs: int) -> dict[str, Any]:
    """Index the corpus by BM25 and rank for all test queries."""
    import numpy as np

    from genret_core.retrieval.bm25 import Bm25Index
    from genret_core.retrieval.corpus import Corpus

    opened = Corpus.open(folder / "corpus")
    began = time.perf_counter()
    engine = Bm25Index.build(opened)
    built = time.perf_counter() - began
    rows = opened.split_queries("test")[:100]
    began = time.perf_counter()
    ranking = engine.rank(list(opened.query_texts(rows)), k=100)
    asked = time.perf_counter() - began
    relevant = np.array([opened.relevant(int(row))[0] for row in rows])
    hit = ranking.document == relevant[ranking.query]
    return {
        "build_s": round(built, 1),
        "s_per_query": round(asked / len(rows), 3),
        "R@5": round(float((hit & (ranking.rank < 5)).sum() / len(rows)), 2),
    }


STEPS: dict[str, Callable[..., dict[str, Any]]] = {
    step.__name__: step for step in (passages, corpus, index, check, search, bm25)
}


# ---- measuring ----


def measured(command: list[str]) -> dict[str, Any]:
    """Run a command; what it took, with all processes that it started."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    load = os.getloadavg()[0]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with _watched(process.pid) as peak:
        said, _ = process.communicate()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}")
    return {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "own_gb": peak["own"] / 1e9,
        "held_gb": peak["held"] / 1e9,
        "load": (load + os.getloadavg()[0]) / 2,
        "said": json.loads(said[said.index("{") :]),
    }


@contextmanager
def _watched(pid: int) -> Iterator[dict[str, int]]:
    """Note the most memory that a process and those it started hold together."""
    peak, done = {"own": 0, "held": 0}, threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            own = held = 0
            for one in _with_children(pid):
                try:
                    status = Path(f"/proc/{one}/status").read_text()
                    own += int(status.split("RssAnon:")[1].split()[0]) * 1024
                    held += int(status.split("VmRSS:")[1].split()[0]) * 1024
                except (OSError, IndexError):
                    continue  # it has ended
            peak["own"], peak["held"] = max(peak["own"], own), max(peak["held"], held)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def _with_children(pid: int) -> Iterator[int]:
    yield pid
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _with_children(int(child))
    except OSError:
        return


def told(results: dict[str, dict[str, Any]]) -> str:
    """Write the figures as a table."""
    lines = ["| step | s | cpu s | own GB | held GB | load | |", "|" + "---|" * 7]
    for name, r in results.items():
        numbers = f"{r['seconds']:.0f} | {r['cpu_seconds']:.0f} | {r['own_gb']:.2f} | {r['held_gb']:.2f}"
        said = {k: v for k, v in r["said"].items() if k not in ("folder", "files", "notes")}
        lines.append(f"| {name} | {numbers} | {r['load']:.1f} | {json.dumps(said)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure every step, one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--passages", type=int, default=2_000_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--folder", type=Path, help="where to work; kept, and finished steps are not repeated"
    )
    parser.add_argument("--step", choices=list(STEPS), help=argparse.SUPPRESS)
    parser.add_argument("--option", action="append", default=[], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        options = {key: int(v) if v.isdigit() else v for key, v in (o.split("=") for o in given.option)}
        print(json.dumps(STEPS[given.step](given.folder, given.passages, given.jobs, **options)))
        return
    if given.folder:
        given.folder.mkdir(parents=True, exist_ok=True)
        print(told(measure(given.folder, given.passages, given.jobs)))
        return
    with tempfile.TemporaryDirectory() as folder:
        print(told(measure(Path(folder), given.passages, given.jobs)))


def measure(folder: Path, n: int, jobs: int) -> dict[str, dict[str, Any]]:
    """Go through all steps that have no figures yet."""
    note = folder / "figures.json"
    results: dict[str, dict[str, Any]] = json.loads(note.read_text()) if note.is_file() else {}
    for name, command in _commands(folder, n, jobs):
        if name not in results:
            print(f"{name} …", file=sys.stderr, flush=True)
            results[name] = measured(command)
            note.write_text(json.dumps(results, indent=1))
    return results


def _commands(folder: Path, n: int, jobs: int) -> Iterator[tuple[str, list[str]]]:
    def step(name: str, **options: Any) -> list[str]:
        asked = [f"--option={key}={value}" for key, value in options.items()]
        numbers = ["--passages", str(n), "--jobs", str(jobs)]
        return [sys.executable, __file__, "--step", name, "--folder", str(folder), *numbers, *asked]

    genret = [sys.executable, "-m", "genret_core.workbench.cli.app"]
    files = [str(folder / f"{name}.tsv") for name in ("psgs", "queries", "train", "test")]
    yield "passages", step("passages")
    yield "import", [*genret, "corpus", "import", *files, "--out", str(folder / "beir"), "--json"]
    for name in ("corpus", "index", "check"):
        yield name, step(name)
    for family in ("t5", "llama"):
        for beam in BEAMS:
            yield f"search, {family}, beam {beam}", step("search", family=family, beam=beam)
    yield "bm25", step("bm25")


if __name__ == "__main__":
    main()
