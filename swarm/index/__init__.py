"""Finding texts by words and by meaning, whoever keeps them: an index is what `swarm.index.base.Index` says.

    SqliteIndex         full text in the store's file, with vectors beside it where texts are embedded
    PostgresIndex       full text on a PostgreSQL server, with pgvector where texts are embedded
    PineconeIndex       an index in Pinecone
    LangChainIndex      any vector store of LangChain
    OpenAIEmbeddings    vectors from an endpoint in OpenAI's format
    LocalEmbeddings     vectors from a model of sentence-transformers on this machine
    Cached              vectors from a function of your own, kept in a store
    fused               several rankings as one

One suite (`swarm.testing.conformance.IndexConformance`) holds all of them to the interface, and yours. What an
index is asked for, and what its hits are good for, is not known here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from swarm.index.fused import fused  # at once: the module of that name would take its place

if TYPE_CHECKING:
    from swarm.index.base import Embed, Entry, Hit, Index
    from swarm.index.embeddings import Cached, LocalEmbeddings, OpenAIEmbeddings
    from swarm.index.langchain import LangChainIndex
    from swarm.index.pinecone import PineconeIndex
    from swarm.index.postgres import PostgresIndex
    from swarm.index.sqlite import SqliteIndex

_HOMES = {
    "Cached": "embeddings",
    "Embed": "base",
    "Entry": "base",
    "Hit": "base",
    "Index": "base",
    "LangChainIndex": "langchain",
    "LocalEmbeddings": "embeddings",
    "OpenAIEmbeddings": "embeddings",
    "PineconeIndex": "pinecone",
    "PostgresIndex": "postgres",
    "SqliteIndex": "sqlite",
}

__all__ = [
    "Cached",
    "Embed",
    "Entry",
    "Hit",
    "Index",
    "LangChainIndex",
    "LocalEmbeddings",
    "OpenAIEmbeddings",
    "PineconeIndex",
    "PostgresIndex",
    "SqliteIndex",
    "fused",
]


def __getattr__(name: str) -> Any:
    """The public names, loaded when they are first used."""
    if name in _HOMES:
        return getattr(import_module(f"swarm.index.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'swarm.index' has no attribute {name!r}")
