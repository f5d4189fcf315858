"""What a person sees when an index was damaged, mixed up or not finished: a refusal, or the right answer.

The faults are drawn at random. `python tests/retrieval/test_index_faults.py` draws many more and prints what
is seen of each, as a table; the test marked slow does the same.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from genret_core.workbench.cli.app import build

Put = Callable[[bytes, np.random.Generator], bytes | None]
N, VOCABULARY = 60, "200"
APP = build()
COMMAND = [sys.executable, "-m", "genret_core.workbench.cli.app"]


def genret(*words: str | Path) -> Result:
    return CliRunner().invoke(APP, list(map(str, words)))


def collection(folder: Path, seed: int) -> Path:
    """Passages of made-up words as DPR keeps them, imported."""
    rng = np.random.default_rng(seed)
    words = np.array([a + b + c + d for a in "bdgkl" for b in "aeiou" for c in "mnrst" for d in "aeo"])
    rows = [f"{i}\t{' '.join(rng.choice(words, 40))}\ttitle {i}\n" for i in range(N)]
    (folder / "psgs.tsv").write_text("id\ttext\ttitle\n" + "".join(rows))
    done = genret("corpus", "import", folder / "psgs.tsv", "--out", folder / f"collection-{seed}")
    assert done.exit_code == 0, done.output
    return folder / f"collection-{seed}"


def answers(folder: Path, *options: str) -> list[tuple[int, str, str]]:
    """What is answered: status, standard output, and the sentence of a refusal."""
    found = []
    for verb, text in (("locate", "bama"), ("count", "dose")):
        done = genret("index", verb, folder, text, *options)
        assert done.exception is None or isinstance(done.exception, SystemExit), (verb, done.exception)
        found.append((done.exit_code, done.stdout, done.stderr.strip()))
    return found


# ---- files that were damaged or mixed up


def cut(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: int(rng.integers(0, max(1, len(content))))]


def change(content: bytes, rng: np.random.Generator) -> bytes:
    place = int(rng.integers(0, max(1, len(content))))
    return content[:place] + bytes([content[place] ^ (1 << int(rng.integers(8)))]) + content[place + 1 :]


def zero(content: bytes, rng: np.random.Generator) -> bytes:
    """Blank a stretch, as a system does that crashed before a file was on the disk."""
    first = int(rng.integers(0, len(content)))
    length = min(len(content) - first, int(rng.integers(1, 4_097)))
    return content[:first] + bytes(length) + content[first + length :]


def lengthen(content: bytes, rng: np.random.Generator) -> bytes:
    return content + content[: int(rng.integers(1, 100))]


def remove(content: bytes, rng: np.random.Generator) -> None:
    return None


DAMAGES: dict[str, Put] = {
    "cut short": cut,
    "a bit changed": change,
    "a stretch of zeros": zero,
    "too long": lengthen,
    "missing": remove,
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    make_both(folder)
    return folder


def make_both(folder: Path) -> None:
    """Two indexes of different collections."""
    for seed, name in enumerate(("one", "other")):
        done = genret("index", "build", collection(folder, seed), folder / name, "--vocab-size", VOCABULARY)
        assert done.exit_code == 0, done.output


def files_of(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def seen_of(folder: Path, file: Path, content: bytes | None, right: list[tuple[int, str, str]]) -> str:
    """Put a file's content in its place, ask, and put the old one back."""
    path = folder / file
    whole, times = path.read_bytes(), path.stat()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    try:
        seen = answers(folder)
    finally:
        path.write_bytes(whole)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    if seen == right:
        return "the right answer"
    for (status, said, told), (_, expected, _) in zip(seen, right, strict=True):
        assert status == 2 or said == expected, f"{file}: a wrong answer: {said}"
        assert status == 0 or (told and "\n" not in told and "Traceback" not in told), told
    return next(told for status, _, told in seen if status == 2)


def damaged(folder: Path, rounds: int) -> Iterator[tuple[str, str, str]]:
    """(file, fault, what is seen) for every file and every kind of damage."""
    right = answers(folder)
    assert [status for status, _, _ in right] == [0] * len(right)
    rng = np.random.default_rng(rounds)
    for file in files_of(folder):
        content = (folder / file).read_bytes()
        for name, damage in DAMAGES.items():
            for _ in range(1 if damage is remove else rounds):
                put = damage(content, rng) if content else None
                if put != content:
                    yield str(file), name, seen_of(folder, file, put, right)
    assert answers(folder) == right


def mixed(folder: Path, other: Path) -> Iterator[tuple[str, str, str]]:
    """The same with files of another index, one at a time and in groups that belong together."""
    right = answers(folder)
    for file in files_of(folder):
        yield str(file), "of another index", seen_of(folder, file, (other / file).read_bytes(), right)
    for group in ("tokenizer*", "index/*", "corpus/*"):
        kept = Path(tempfile.mkdtemp()) / "copy"
        shutil.copytree(folder, kept)
        for path in other.glob(group):
            shutil.copy2(path, kept / path.relative_to(other))
        seen = answers(kept)
        assert all(status == 2 for status, _, _ in seen), group
        yield group, "of another index", seen[0][2].replace(str(kept), str(folder))
        shutil.rmtree(kept.parent)


def test_damaged_files_are_refused_or_do_no_harm(built: Path) -> None:
    seen = list(damaged(built / "one", 1))
    arrays = {"tokens", "suffixes", "doc_starts", "first"}
    for file, fault, told in seen:
        if Path(file).parts[0] == "index" and Path(file).stem in arrays | {"header"}:
            assert told != "the right answer", (file, fault)
            assert Path(file).name in told


def test_files_of_another_index_are_refused_or_do_no_harm(built: Path) -> None:
    seen = {(file, told == "the right answer") for file, _, told in mixed(built / "one", built / "other")}
    for file in (
        "tokenizer.json",
        "tokenizer*",
        "index/*",
        "corpus/*",
        "index/tokens.npy",
        "corpus/corpus.json",
    ):
        assert (file, False) in seen


def test_a_header_that_was_edited_is_refused(built: Path) -> None:
    folder = built / "one"
    right = answers(folder)
    text = (folder / "index" / "header.json").read_text()
    for key, value in json.loads(text).items():
        for changed in (None, 1 + value if isinstance(value, int) else "x"):
            header = json.loads(text) | {key: changed}
            told = seen_of(folder, Path("index/header.json"), json.dumps(header).encode(), right)
            assert told != "the right answer", (key, changed)


# ---- building and importing on a full disk, or killed


def run(*words: str | Path, limit: int | None = None) -> subprocess.Popen[str]:
    """Start a command of its own, perhaps one whose files may not grow beyond a limit."""
    code = [*COMMAND, *map(str, words)]
    if limit is not None:
        before = f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"
        after = "from genret_core.workbench.cli.app import main; main()"
        code = [sys.executable, "-c", f"{before}; {after}", *map(str, words)]
    return subprocess.Popen(code, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def full(folder: Path, job: Callable[[Path], list[str | Path]], rounds: int) -> Iterator[str]:
    """Run a job with less and less room; give what is seen of it."""
    rng = np.random.default_rng(rounds)
    for i in range(rounds):
        out = folder / f"full-{i}" / "out"
        out.parent.mkdir()
        process = run(*job(out), limit=int(10 ** rng.uniform(0, 5)))
        _, told = process.communicate()
        assert "Traceback" not in told, told
        if process.returncode == 0:
            assert out.is_dir()
            yield "done"
        else:
            assert process.returncode in (1, 2)
            assert not list(out.parent.iterdir())  # nothing half-written
            yield told.strip().splitlines()[-1].replace(str(out), "OUT")


def killed(folder: Path, job: Callable[[Path], list[str | Path]], rounds: int) -> Iterator[str]:
    """Kill a job at a random moment, then run it again in the same place."""
    rng = np.random.default_rng(rounds)
    began = time.monotonic()
    run(*job(folder / "first")).communicate()
    long = time.monotonic() - began
    for i in range(rounds):
        out = folder / f"killed-{i}" / "out"
        out.parent.mkdir()
        process = run(*job(out))
        while process.poll() is None and not list(out.parent.iterdir()):
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.3) * long * rng.integers(2))  # half of them at once
        process.send_signal(signal.SIGKILL)
        process.communicate()
        left = "half-written work aside" if list(out.parent.glob(".out.*")) else "nothing"
        if out.is_dir():
            yield "it was done before"
            continue
        again = run(*job(out))
        _, told = again.communicate()
        assert again.returncode == 0, told
        assert [path.name for path in out.parent.iterdir()] == ["out"]
        assert same(out, folder / "first")
        yield f"{left} is left, and the next run succeeds with the same files"


def same(one: Path, other: Path) -> bool:
    """Whether two folders hold the same, but for times, paths and notes of times."""
    notes = {"checked.json", "corpus.txt", "corpus.json"}
    names = files_of(one)
    assert names == files_of(other)
    return all((one / n).read_bytes() == (other / n).read_bytes() for n in names if n.name not in notes)


def jobs(folder: Path) -> dict[str, Callable[[Path], list[str | Path]]]:
    folder.mkdir(exist_ok=True)
    source, passages = collection(folder, 0), folder / "psgs.tsv"
    return {
        "importing": lambda out: ["corpus", "import", passages, "--out", out],
        "building": lambda out: ["index", "build", source, out, "--vocab-size", VOCABULARY],
    }


@pytest.mark.parametrize("name", ["importing", "building"])
def test_a_full_disk_leaves_nothing(name: str, tmp_path: Path) -> None:
    assert set(full(tmp_path, jobs(tmp_path)[name], 3)) != {"done"}


@pytest.mark.parametrize("name", ["importing", "building"])
def test_what_was_killed_begins_anew(name: str, tmp_path: Path) -> None:
    assert len(list(killed(tmp_path, jobs(tmp_path)[name], 1))) == 1


# ---- many of them


def table(folder: Path, rounds: int) -> str:
    """All faults, many times, and what is seen of them."""
    make_both(folder)
    counts: Counter[tuple[str, str, str]] = Counter()
    for file, fault, told in (*damaged(folder / "one", rounds), *mixed(folder / "one", folder / "other")):
        counts[file, fault, _general(told, folder)] += 1
    for name, job in jobs(folder / "jobs").items():
        (folder / name).mkdir()
        for fault, run_so in (("no room", full), ("killed", killed)):
            for told in run_so(folder / name, job, rounds):
                counts[name, fault, _general(told, folder)] += 1
    lines = ["| file | fault | times | seen |", "|---|---|---|---|"]
    lines += [f"| {file} | {fault} | {n} | {told} |" for (file, fault, told), n in counts.items()]
    return "\n".join(lines)


def _general(told: str, folder: Path) -> str:
    """A sentence without the numbers that each fault has of its own."""
    plain = told.replace(f"{folder}/one/", "").replace(f"{folder}/one", "INDEX").replace(str(folder), "")
    return re.sub(r"\d[\d,]*", "#", plain)


@pytest.mark.slow
def test_many_faults(tmp_path: Path) -> None:
    print("\n" + table(tmp_path, 25))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(table(Path(folder), int(sys.argv[1]) if len(sys.argv) > 1 else 100))
