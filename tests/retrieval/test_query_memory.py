"""What shoppers took after earlier queries, found again from a folder, for queries like them."""

import math
import shutil
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.mapped_arrays import ArtefactError, MappedArrays
from retrieval.memory_parts import MemorySource
from retrieval.query_memory import (
    FORMAT,
    HALF,
    MAX_PRODUCTS,
    SCALE,
    TEMPERATURE,
    QueryMemory,
    Recalled,
    Taken,
    remembered_queries,
    write_memory,
)
from retrieval.vector_lists import Floats
from retrieval.words import WordIndex

DIM = 16
WORDS = ("xbox", "360", "controller", "wii", "remote", "plus", "zelda", "mario", "kart", "ps3", "move", "a")


def vector_of(query: str) -> np.ndarray:
    """Return a unit vector that is the same for the same words, and alike for queries that share some."""
    summed = np.sum(
        [np.random.default_rng(list(word.encode())).standard_normal(DIM) for word in query.split()], axis=0
    )
    return (summed / np.linalg.norm(summed)).astype(np.float32)


def vectors_of(queries: list[str]) -> np.ndarray:
    return np.array([vector_of(query) for query in queries], dtype=np.float32).reshape(len(queries), DIM)


def written(folder: Path, own: Iterable[tuple[object, ...]]) -> tuple[QueryMemory, str]:
    pairs = [Taken(*pair) for pair in own]
    queries = remembered_queries(pairs)
    digest = write_memory(folder, pairs, queries, vectors_of(queries), model_sha256="m")
    return QueryMemory.load(folder, sha256=digest), digest


def asked(memory: QueryMemory, query: str, like: str | None = None) -> dict[str, float]:
    """Ask with the vector of another spelling, as an encoder would give nearly the same."""
    return memory.values([query], vectors_of([like or query]))[0]


def grams(text: str) -> Counter[str]:
    return Counter(
        f" {word} "[at : at + length]
        for word in text.split()
        for length in (2, 3, 4)
        for at in range(len(word) + 3 - length)
    )


def by_hand(pairs: list[tuple[str, str, float, str | None]], query: str) -> dict[str, float]:
    """Compute the kernel from its formula, over all queries."""
    texts = sorted({earlier for earlier, *_ in pairs})
    frequency = Counter(gram for text in texts for gram in grams(text))

    def row(text: str) -> dict[str, float]:
        weights = {
            gram: times * (math.log((1 + len(texts)) / (1 + frequency[gram])) + 1)
            for gram, times in grams(text).items()
        }
        length = math.sqrt(sum(weight**2 for weight in weights.values())) or 1.0
        return {gram: weight / length for gram, weight in weights.items()}

    mine, kernel, alone = row(query), Counter[str](), Counter[tuple[str, str]]()
    for earlier, product, own, client in pairs:
        characters = sum(weight * mine.get(gram, 0.0) for gram, weight in row(earlier).items())
        alike = (characters + float(vector_of(query) @ vector_of(earlier))) / 2
        added = math.exp((min(alike, 1.0) - 1) / TEMPERATURE) * own / (own + HALF)
        kernel[product] += added
        alone[product, client] += added if client else 0.0
    for product in kernel:
        kernel[product] -= max(added for (its, _), added in alone.items() if its == product)
    return {product: math.log1p(SCALE * k) / math.log1p(SCALE) for product, k in kernel.items() if k > 1e-9}


queries = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
pairs = st.lists(
    st.tuples(
        queries,
        st.sampled_from(["p1", "p2", "é"]),
        st.floats(0.001, 1e6),
        st.sampled_from([None, None, "c1", "c2"]),
    ),
    min_size=1,
    max_size=30,
    unique_by=lambda pair: pair[:2],
)


@settings(max_examples=40, deadline=None)
@given(pairs, queries)
def test_the_values_are_those_of_the_formula_over_all_queries(
    own: list[tuple[str, str, float, str | None]], query: str
) -> None:
    with TemporaryDirectory() as folder:
        memory, _ = written(Path(folder) / "memory", own)
        found, expected = asked(memory, query), by_hand(own, query)
        assert found.keys() == expected.keys()
        assert all(found[product] == pytest.approx(expected[product], abs=0.01) for product in expected)
        assert list(found) == sorted(found, key=lambda product: (-found[product], product))


@settings(max_examples=20, deadline=None)
@given(pairs, st.randoms())
def test_the_order_of_the_pairs_changes_nothing(own: list[tuple[str, str, float, str | None]], order) -> None:
    shuffled = list(own)
    order.shuffle(shuffled)
    with TemporaryDirectory() as folder:
        _, one = written(Path(folder) / "one", own)
        _, other = written(Path(folder) / "other", shuffled)
    assert one == other


def test_a_product_without_credit_has_no_value(tmp_path: Path) -> None:
    memory, _ = written(tmp_path / "memory", [("xbox", "p1", 3.0), ("wii", "p2", 0.0), ("wii", "p3", -1.0)])
    assert asked(memory, "xbox").keys() == {"p1"}
    assert memory.queries == 1


def test_a_memory_of_nothing_knows_nothing(tmp_path: Path) -> None:
    memory, _ = written(tmp_path / "memory", [])
    assert memory.queries == 0
    assert asked(memory, "xbox") == {}


def test_a_query_without_letters_is_answered_by_its_vector(tmp_path: Path) -> None:
    memory, _ = written(tmp_path / "memory", [("xbox", "p1", 3.0)])
    assert asked(memory, " ", like="xbox").keys() == {"p1"}


@pytest.mark.parametrize(
    "typed", ["xbox360 controler", "xobx 360 controller", "XBOX  360 Controller", "xbox360controller"]
)
def test_a_misspelt_query_finds_the_product_of_the_right_one(typed: str, tmp_path: Path) -> None:
    others = [
        (f"{a} {b}", f"{a}-{b}", 5.0)
        for a in WORDS
        for b in WORDS
        if a != b and {a, b} != {"xbox", "controller"}
    ]
    memory, _ = written(tmp_path / "memory", [*others, ("xbox 360 controller", "the controller", 5.0)])
    found = asked(memory, typed, like="xbox controller")
    assert max(found, key=lambda product: found[product]) == "the controller"


@settings(max_examples=30, deadline=None)
@given(pairs, st.lists(queries, min_size=1, max_size=4, unique=True), queries)
def test_one_client_alone_moves_no_product(
    own: list[tuple[str, str, float, str | None]], pushed: list[str], query: str
) -> None:
    """Whatever others did: what a new client does by itself, after any queries, adds nothing."""
    there = {earlier for earlier, *_ in own}
    mine = [(earlier, "pushed", 1e6, "new") for earlier in pushed if earlier in there]
    with TemporaryDirectory() as folder:
        before, _ = written(Path(folder) / "before", own)
        after, _ = written(Path(folder) / "after", [*own, *mine])
        assert asked(after, query) == asked(before, query)


def test_two_clients_who_do_the_same_are_remembered(tmp_path: Path) -> None:
    one = ("xbox controler", "p1", 1.0, "c1")
    memory, _ = written(tmp_path / "one", [one])
    assert asked(memory, "xbox controller") == {}
    memory, _ = written(tmp_path / "two", [one, ("xbox controllers", "p1", 1.0, "c2")])
    assert asked(memory, "xbox controller")["p1"] > 0


def test_a_pair_that_comes_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="given twice"):
        written(tmp_path / "memory", [("xbox", "p1", 1.0), ("xbox", "p1", 2.0)])


def test_more_credit_never_counts_less_and_never_more_than_one(tmp_path: Path) -> None:
    values = []
    for number, credit in enumerate((0.1, 1.0, 2.0, 1e9)):
        memory, _ = written(tmp_path / str(number), [("xbox", "p1", credit)])
        values.append(asked(memory, "xbox")["p1"])
    assert values == sorted(values)
    assert values[-1] == pytest.approx(1.0, abs=1e-3)
    assert values[2] == pytest.approx(math.log1p(SCALE / 2) / math.log1p(SCALE), abs=1e-3)


def test_of_a_query_with_very_many_products_the_most_credited_are_kept(tmp_path: Path) -> None:
    memory, _ = written(
        tmp_path / "memory", [("xbox", f"p{n:03}", 1.0 + n) for n in range(MAX_PRODUCTS + 36)]
    )
    assert sorted(asked(memory, "xbox")) == [f"p{n:03}" for n in range(36, MAX_PRODUCTS + 36)]


def test_of_many_queries_the_same_ones_are_found_by_several_threads(tmp_path: Path) -> None:
    """More queries than are looked at for one answer."""
    own = [(f"{a} {b} {n}", f"p-{n}", 4.0) for a in WORDS for b in WORDS for n in range(100, 135)]
    memory, _ = written(tmp_path / "memory", own)
    assert memory.queries == len(own) > 4096
    asked_for = [query for query, _, _ in own[::97]]
    vectors = vectors_of(asked_for)
    expected = memory.values(asked_for, vectors)
    for query, found in zip(asked_for, expected, strict=True):
        product = next(p for q, p, _ in own if q == query)
        assert max(found, key=lambda p: found[p]) == product

    answers: list[list[dict[str, float]]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(memory.values(asked_for, vectors))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [expected] * 4
    assert [memory.values([q], v[None])[0] for q, v in zip(asked_for, vectors, strict=True)] == expected


def test_vectors_of_other_queries_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="vectors of its own queries"):
        write_memory(
            tmp_path / "m", [Taken("xbox", "p", 1.0)], ["wii"], vectors_of(["wii"]), model_sha256="m"
        )
    assert list(tmp_path.iterdir()) == []


def test_writing_the_same_again_keeps_the_folder_and_something_else_is_refused(tmp_path: Path) -> None:
    _, digest = written(tmp_path / "memory", [("xbox", "p1", 1.0)])
    assert written(tmp_path / "memory", [("xbox", "p1", 1.0)])[1] == digest
    with pytest.raises(ArtefactError, match="has the digest"):
        written(tmp_path / "memory", [("xbox", "p1", 2.0)])
    assert [path.name for path in tmp_path.iterdir()] == ["memory"]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "a bit of a file": (lambda f: flip(f / "share_values.npy"), "damaged"),
    "a bit of the manifest": (lambda f: flip(f / "manifest.json"), "no manifest"),
    "a file that ends early": (lambda f: (f / "text_norms.npy").write_bytes(b"\x93NUMPY"), "cannot be read"),
    "a file that is missing": (lambda f: (f / "text_norms.npy").unlink(), "cannot be read"),
    "a pickle": (
        lambda f: np.save(f / "text_norms.npy", np.array([{}]), allow_pickle=True),
        "cannot be read",
    ),
    "another shape": (lambda f: np.save(f / "text_norms.npy", np.zeros(9, np.float32)), "the manifest says"),
    "a path as a name": (
        lambda f: (f / "manifest.json").write_text(
            (f / "manifest.json").read_text().replace('"text_norms"', '"../text_norms"')
        ),
        "no name of a file",
    ),
    "a file that the manifest lacks": (
        lambda f: (f / "manifest.json").write_text(
            (f / "manifest.json").read_text().replace('"text_norms"', '"text_forms"')
        ),
        "cannot be read",
    ),
    "another format": (
        lambda f: (f / "manifest.json").write_text(
            (f / "manifest.json").read_text().replace("searchloop-memory-1", "searchloop-memory-0")
        ),
        "format",
    ),
    "all of it": (shutil.rmtree, "no manifest"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_memory_is_refused_with_what_is_wrong(damage: str, tmp_path: Path) -> None:
    do, said = DAMAGES[damage]
    written(tmp_path / "memory", [("xbox", "p1", 1.0)])
    do(tmp_path / "memory")
    with pytest.raises(ArtefactError, match=said):
        QueryMemory.load(tmp_path / "memory")


def test_another_memory_than_the_one_asked_for_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "memory", [("xbox", "p1", 1.0)])
    with pytest.raises(ArtefactError, match="expected 00"):
        QueryMemory.load(tmp_path / "memory", sha256="00")


def test_popularity_is_relative_and_one_client_alone_makes_nothing_popular(tmp_path):
    pairs = [("xbox", "a", 40.0), ("wii", "b", 8.0), *((f"zelda {n}", "b", 50.0, "c1") for n in range(20))]
    prior = written(tmp_path / "m", pairs)[0].prior
    assert prior["a"] == 1.0
    assert prior["b"] == pytest.approx(math.log1p(8) / math.log1p(40), abs=1e-5)


def test_what_a_memory_says_of_a_query_is_held_for_when_it_is_asked_again(tmp_path: Path) -> None:
    memory, _ = written(tmp_path / "memory", [("xbox", "p1", 3.0, None), ("xbox", "p2", 1.0, None)])
    looked_up: list[str] = []

    class Watched(QueryMemory):
        def recalled(self, query: str, vector: Floats) -> Recalled:
            looked_up.append(query)
            return memory.recalled(query, vector)

    watched = Watched(MappedArrays.open(tmp_path / "memory", FORMAT))
    source = MemorySource(watched, WordIndex("english"), remembered=1)
    said = [source.ask(query, vector_of(query)).best(5) for query in ("xbox", "xbox", "ps4", "xbox")]
    assert looked_up == ["xbox", "ps4", "xbox"]
    assert said[0] == said[1] == said[3] == asked(memory, "xbox")
    assert list(said[0]) == ["p1", "p2"]
