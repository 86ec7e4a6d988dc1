"""The index on a PostgreSQL server: made once, found again after a restart, and silent about passwords."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import pytest

from swarm.errors import IndexFailed, UsageError
from swarm.index import Entry, PostgresIndex
from swarm.testing.postgres import LocalPostgres
from swarm.testing.vectors import by_words


async def found(index: PostgresIndex, query: str, limit: int = 10, space: str = "space") -> list[str]:
    return [hit.id for hit in await index.search(space, query, limit)]


def of_size(size: int) -> object:
    def embed(texts: Sequence[str]) -> list[list[float]]:
        return [[1.0 + len(text), *vector, *[0.0] * (size - len(vector) - 1)] for text, vector in both(texts)]

    def both(texts: Sequence[str]) -> list[tuple[str, list[float]]]:
        return list(zip(texts, by_words(texts), strict=True))

    return embed


async def test_many_may_make_the_tables_at_once(postgres: LocalPostgres) -> None:
    url = postgres.database()
    made = [PostgresIndex(url, embed=by_words) for _ in range(6)]
    await asyncio.gather(*[one.add("space", [Entry(str(n), f"pier number{n}")]) for n, one in enumerate(made)])
    assert sorted(await found(made[0], "pier")) == [str(n) for n in range(6)]
    for one in made:
        await one.close()


async def test_a_connection_that_breaks_is_made_again(postgres: LocalPostgres) -> None:
    import psycopg

    url = postgres.database()
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> %s"
    async with PostgresIndex(url, embed=by_words) as index:
        await index.add("space", [Entry("a", "the northern pier")])
        with psycopg.connect(url) as connection:
            connection.execute(end, (connection.info.backend_pid,))
            assert await found(index, "pier") == ["a"]
            connection.execute(end, (connection.info.backend_pid,))
            await index.add("space", [Entry("b", "a southern pier")])
            assert sorted(await found(index, "pier")) == ["a", "b"]


@pytest.mark.parametrize("size", [2_500, 4_500])
async def test_long_vectors_are_kept_too(postgres: LocalPostgres, size: int) -> None:
    async with PostgresIndex(postgres.database(), embed=of_size(size)) as index:  # type: ignore[arg-type]
        await index.add("space", [Entry(str(n), f"word{n} and a pier") for n in range(40)])
        assert (await found(index, "word7", 5))[0] == "7"


async def test_a_small_space_is_not_crowded_out_by_a_large_one(postgres: LocalPostgres) -> None:
    async with PostgresIndex(postgres.database(), embed=by_words) as index:
        await index.add("large", [Entry(str(n), f"the pier of harbour{n}") for n in range(1_500)])
        await index.add("small", [Entry("a", "a pier"), Entry("b", "the market"), Entry("c", "piers and moles")])
        assert sorted(await found(index, "pier", 3, "small")) == ["a", "b", "c"]


async def test_words_alone_need_no_extension(postgres: LocalPostgres) -> None:
    import psycopg

    url = postgres.database()
    async with PostgresIndex(url) as index:
        await index.add(
            "space", [Entry("a", "Foxes were running"), Entry("b", "北京的天气很好"), Entry("c", "la forêt")]
        )
        assert await found(index, "a fox ran or runs") == ["a"]
        assert await found(index, "天气") == ["b"]
        assert await found(index, "FORET") == ["c"]
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_extension WHERE extname = 'vector'").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM swarm_index.entries").fetchone() == (3,)


async def test_no_error_and_no_name_shows_the_password() -> None:
    url = "postgresql://me:s3cr3t-word@127.0.0.1:1/nowhere?connect_timeout=1"
    async with PostgresIndex(url) as index:
        assert "s3cr3t" not in index.name
        with pytest.raises(IndexFailed) as caught:
            await index.search("space", "pier", 3)
    assert "s3cr3t" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


async def test_what_is_no_address_is_told_and_not_shown() -> None:
    for url in ("host=h password=s3cr3t-word", "host=h password = 's3cr3t word'", "s3cr3t-word", ""):
        with pytest.raises(UsageError, match="postgresql://") as caught:
            PostgresIndex(url)
        assert "s3cr3t" not in str(caught.value)


async def test_of_a_text_of_megabytes_the_first_words_are_kept(postgres: LocalPostgres) -> None:
    words = [f"{number:05}" + "ж" * 80 for number in range(12_000)]
    async with PostgresIndex(postgres.database()) as index:
        await index.add("space", [Entry("a", " ".join(words)), Entry("b", "a pier")])
        assert await found(index, words[0]) == await found(index, words[5_000]) == ["a"]
        assert await found(index, "pier") == ["b"]


async def test_what_it_lacks_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="schema"):
        PostgresIndex("postgresql://h/d", schema='x"; DROP')
    monkeypatch.setitem(sys.modules, "pgvector", None)
    async with PostgresIndex("postgresql://127.0.0.1:1/d", embed=by_words) as index:
        with pytest.raises(UsageError, match=r"swarm-memory\[pgvector\]"):
            await index.add("space", [Entry("a", "pier")])


async def test_vectors_of_two_embeddings_do_not_get_into_one_space(postgres: LocalPostgres) -> None:
    url = postgres.database()
    async with (
        PostgresIndex(url, embed=by_words) as index,
        PostgresIndex(url, embed=of_size(700)) as other,  # type: ignore[arg-type]
    ):
        await index.add("space", [Entry("a", "pier")])
        with pytest.raises(UsageError, match="clear the space"):
            await other.add("space", [Entry("b", "pier")])
        with pytest.raises(UsageError, match="clear the space"):
            await other.search("space", "pier", 3)
        assert await found(index, "pier") == ["a"]
