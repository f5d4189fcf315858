"""How the token index grows: building, the constrained step, finding n-grams, at 1 to 200 million tokens.

`make bench-scale`, or `python tests/benchmarks/index_scale.py --millions 1 10 50`. Every build runs in a
fresh process, on one core unless --jobs says otherwise; its peak memory counts the pages of the mapped files
that happen to be held, and `own` is the part that cannot be given back. Seconds depend on what else the
machine does; the processor time of the build and the load stand beside them. The figures for 3 billion tokens
are extrapolated along a straight line from the largest corpus, not measured.
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
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from zipf_corpus import SEP, V, write_corpus

from genret_core.retrieval.sharded_index import ShardedIndex
from genret_core.retrieval.text_index import TextIndex
from genret_core.retrieval.token_index import TokenIndex

WIKIPEDIA = 3_000_000_000
OPTIONS = {"vocab_size": V, "tokenizer_key": "zipf", "separator_id": SEP}
BEAM, DEPTHS, ROUNDS = 100, range(1, 10), 3
N_GRAMS, MAX_HITS = 300, 1_500


def build(folder: Path, jobs: int) -> dict[str, Any]:
    """Build in this process and say what it took."""
    ids, starts = np.load(folder / "ids.npy", mmap_mode="r"), np.load(folder / "starts.npy")
    own, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            status = Path("/proc/self/status").read_text()
            own[0] = max(own[0], int(status.split("RssAnon:")[1].split()[0]) / 1024)

    watcher = threading.Thread(target=watch)
    watcher.start()
    began, used = time.perf_counter(), os.times()
    stages: dict[str, float] = {}
    last = [began]

    def progress(stage: str, n_done: int, total: int) -> None:
        now = time.perf_counter()
        stages[stage] = stages.get(stage, 0) + now - last[0]
        last[0] = now

    TokenIndex.build(ids, starts, folder / "index", **OPTIONS, jobs=jobs, progress=progress)
    seconds, after = time.perf_counter() - began, os.times()
    done.set()
    watcher.join()
    return {
        "seconds": seconds,
        "cpu_seconds": sum(after[:4]) - sum(used[:4]),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "own_mb": own[0],
        "bytes_per_token": sum(f.stat().st_size for f in (folder / "index").iterdir()) / len(ids),
        "stages": {name: round(value, 2) for name, value in stages.items()},
    }


def steps(index: TextIndex, one: TokenIndex) -> dict[str, list[float]]:
    """Milliseconds of the constrained step at each depth, lazy and dense, on one thread."""
    import test_constrained_step as step
    import torch

    torch.set_num_threads(1)
    rng = np.random.default_rng(BEAM)
    group = np.zeros(BEAM, np.int64)
    found: dict[str, list[float]] = {}
    for depth in DEPTHS:
        lo, hi = step.draw_beams(one, BEAM, depth, rng)
        grams = one.tokens[one.suffixes[lo].astype(np.int64)[:, None] + np.arange(depth)]
        ends = index.find(grams.tolist())
        beam_scores = -rng.exponential(3, BEAM)
        for kind in ("language", "random"):
            scores = step.make_scores(one, lo, hi, depth, kind, rng)
            rest = (depth, 2 * BEAM)
            top = step.top_valid(index, scores, beam_scores, *ends, *rest, group)
            dense = step.dense_step(one, scores, beam_scores, lo, hi, *rest).values.numpy()
            np.testing.assert_allclose(top.score, dense[dense > -np.inf], rtol=1e-5)
            lazy = partial(step.top_valid, index, scores, beam_scores, *ends, *rest, group)
            dense_step = partial(step.dense_step, one, scores, beam_scores, lo, hi, *rest)
            for name, run in (("lazy", lazy), ("dense mask", dense_step)):
                found.setdefault(f"{name}, {kind} scores", []).append(milliseconds(run))
    return found


def draw_n_grams(index: TokenIndex) -> list[list[int]]:
    """n-grams of 2 to 7 tokens that occur at most `MAX_HITS` times."""
    rng = np.random.default_rng(5)
    grams: list[list[int]] = []
    while len(grams) < N_GRAMS:
        start, length = int(rng.integers(0, index.n_tokens - 8)), int(rng.integers(2, 8))
        gram = index.tokens[start : start + length].tolist()
        if SEP not in gram and index.count([gram])[0] <= MAX_HITS:
            grams.append(gram)
    return grams


def locating(index: TextIndex, grams: list[list[int]]) -> dict[str, float]:
    """Milliseconds of counting and of locating 300 n-grams."""
    return {
        "places": len(index.locate_all(grams)),
        "count_ms": milliseconds(lambda: index.count(grams)),
        "locate_ms": milliseconds(lambda: index.locate_all(grams)),
        "open_ms": 0.0,
    }


def check_by_scanning(index: TokenIndex, grams: list[list[int]]) -> None:
    """Compare all places with those found by going through the corpus."""
    places = index.locate_all(grams)
    tokens = np.asarray(index.tokens)
    for i, gram in enumerate(grams):
        hit = np.flatnonzero(tokens[: len(tokens) - len(gram)] == gram[0])
        for j, token in enumerate(gram[1:], 1):
            hit = hit[tokens[hit + j] == token]
        documents = np.searchsorted(index.doc_starts, hit, side="right") - 1
        rows = places.pattern == i
        np.testing.assert_array_equal(places.document[rows], documents)
        np.testing.assert_array_equal(places.offset[rows], hit - index.doc_starts[documents])


def milliseconds(run: Callable[[], Any]) -> float:
    """Median of some rounds."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - began))
    return round(float(np.median(times)), 2)


def measure(folder: Path, millions: int, jobs: int) -> dict[str, Any]:
    """Build and ask an index of one size."""
    write_corpus(folder, millions * 1_000_000)
    command = [sys.executable, __file__, "--build", str(folder), "--jobs", str(jobs)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result = {"millions": millions, "jobs": jobs, "load": os.getloadavg()[0], "build": json.loads(told)}
    index = TokenIndex.open(folder / "index")
    result["steps"] = steps(index, index)
    grams = draw_n_grams(index)
    result["finding"] = locating(index, grams)
    result["finding"]["open_ms"] = milliseconds(lambda: TokenIndex.open(folder / "index"))
    if millions <= 10:
        check_by_scanning(index, grams)
        ids, starts = np.load(folder / "ids.npy", mmap_mode="r"), np.load(folder / "starts.npy")
        size = -(-len(ids) // 4) + 200
        shards = ShardedIndex.build(ids, starts, folder / "shards", tokens_per_shard=size, **OPTIONS)
        result["steps"] |= {
            f"{name}, {len(shards.shards)} shards": times
            for name, times in steps(shards, index).items()
            if name.startswith("lazy")
        }
        result["finding"]["locate_in_shards_ms"] = locating(shards, grams)["locate_ms"]
    return result


def told(results: list[dict[str, Any]]) -> str:
    """Write the figures as tables."""
    head = ("million tokens", "build s", "cpu s", "peak MB", "own MB", "bytes/token", "open ms", "load")
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for r in results:
        b = r["build"]
        cells = [str(r["millions"]), *(f"{b[x]:.1f}" for x in ("seconds", "cpu_seconds"))]
        cells += [f"{b['peak_mb']:.0f}", f"{b['own_mb']:.0f}", f"{b['bytes_per_token']:.2f}"]
        lines.append("| " + " | ".join([*cells, f"{r['finding']['open_ms']:.0f}", f"{r['load']:.1f}"]) + " |")
    last = results[-1]["build"]
    per_token = last["cpu_seconds"] / results[-1]["millions"] / 1e6
    lines.append(
        f"\nExtrapolated, not measured: {WIKIPEDIA:,} tokens at {1e6 * per_token:.2f} µs of processor time "
        f"each take {WIKIPEDIA * per_token / 60:.0f} minutes on one core and "
        f"{WIKIPEDIA * last['bytes_per_token'] / 1e9:.1f} GB on disk."
    )
    if len(results) > 1:
        less, more = results[-2:]
        slope = (more["build"]["own_mb"] - less["build"]["own_mb"]) / (more["millions"] - less["millions"])
        own = more["build"]["own_mb"] + slope * (WIKIPEDIA / 1e6 - more["millions"])
        lines.append(f"A line through the last two gives {own / 1e3:.1f} GB of own memory.")
    for r in results:
        lines.append(f"\n{r['millions']} million tokens, beam {BEAM}, ms by depth")
        lines.append("| | " + " | ".join(map(str, DEPTHS)) + " | mean |")
        lines.append("|" + "---|" * (len(DEPTHS) + 2))
        for name, times in r["steps"].items():
            lines.append(
                f"| {name} | " + " | ".join(f"{t:.1f}" for t in times) + f" | {np.mean(times):.1f} |"
            )
        lines.append(f"\n{N_GRAMS} n-grams: " + ", ".join(f"{k} {v:,.1f}" for k, v in r["finding"].items()))
    return "\n".join(lines)


def main() -> None:
    """Measure every size, one after the other, in a passing folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--millions", type=int, nargs="+", default=[1, 10, 50, 200])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--folder", default=None, help="where to work (about 9 bytes a token)")
    parser.add_argument("--out", type=Path, help="JSON with all figures")
    parser.add_argument("--build", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.build:
        print(json.dumps(build(given.build, given.jobs)))
        return
    results = []
    for millions in given.millions:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            results.append(measure(Path(folder), millions, given.jobs))
        if given.out:
            given.out.write_text(json.dumps(results, indent=1))
    print(told(results))


if __name__ == "__main__":
    main()
