"""The store's tables. Migrations make them; a test holds the two together.

Every table that grows with the documents starts its key with `document_id` and has no trigger, so that it can be
distributed by document. The posting blocks and the names are small and local.
"""

from __future__ import annotations

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()

NOW = text("now()")


document = Table(
    "document",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("collection", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("readers", ARRAY(Text), nullable=False),  # decides who may read; nothing else does
    Column("current_version", Integer, nullable=False),
    Column("chunks", Integer, nullable=False),  # of the current version
    Column("index_profile", Text, nullable=False),  # chunker, analyzer and embedding space the chunks were made with
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=NOW),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=NOW),
    Column("review_by", Date),
    Column("effective_from", Date),  # first day on which it answers
    Column("expires_on", Date),  # first day on which it no longer answers
    Column("superseded_by", Uuid),
    Column("parent_id", Uuid),  # the mail it came with
    Column("origin", Text, nullable=False, server_default=""),  # the folder, bucket or site it is kept in step with
    Index("document_origin", "origin", "collection", postgresql_where=text("origin <> ''")),
    CheckConstraint("cardinality(readers) > 0 and not ('*' = any(readers))", name="document_readers_named"),
)

document_name = Table(
    "document_name",  # apart from `document`, whose only unique key may be its distribution key
    metadata,
    Column("collection", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("document_id", Uuid, nullable=False, unique=True),
)

version = Table(
    "version",
    metadata,
    Column("document_id", Uuid, ForeignKey("document.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),  # from 1
    Column("sha256", LargeBinary, nullable=False),  # of the bytes
    Column("parser_profile", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("language", Text, nullable=False),  # ISO 639-1 or ""
    Column("byte_count", BigInteger, nullable=False),
    Column("page_count", Integer),
    Column("canonical_text", Text, nullable=False),
    Column("text_sha256", LargeBinary, nullable=False),
    Column("warnings", ARRAY(Text), nullable=False),
    Column("added_at", DateTime(timezone=True), nullable=False, server_default=NOW),
    Column("findings", JSONB, nullable=False, server_default=text("'[]'")),  # what the owner should look at
    Column("replaced_at", DateTime(timezone=True)),  # since then another version answers
)

element = Table(
    "element",
    metadata,
    Column("document_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("category", Text, nullable=False),
    Column("depth", Integer, nullable=False),
    Column("start_offset", Integer, nullable=False),
    Column("end_offset", Integer, nullable=False),
    Column("page", Integer),
    Column("place", JSONB, nullable=False),
    ForeignKeyConstraint(["document_id", "version"], ["version.document_id", "version.number"], ondelete="CASCADE"),
)

page = Table(
    "page",
    metadata,
    Column("document_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("page", Integer, primary_key=True),
    Column("start_offset", Integer, nullable=False),
    Column("end_offset", Integer, nullable=False),
    Column("width", Float, nullable=False),  # points, as displayed
    Column("height", Float, nullable=False),
    Column("boxes", LargeBinary, nullable=False),  # zlib of little-endian uint16 (end - start, 4)
    Column("recognition", Float),  # mean score of text recognition; null: the page's own text
    ForeignKeyConstraint(["document_id", "version"], ["version.document_id", "version.number"], ondelete="CASCADE"),
)

chunk = Table(
    "chunk",  # of current versions only
    metadata,
    Column("document_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("ordinal", Integer, nullable=False),  # within the document, from 0
    Column("position", Integer, nullable=False),  # across the store, contiguous per document: the postings' id
    Column("start_offset", Integer, nullable=False),
    Column("end_offset", Integer, nullable=False),
    Column("heading", ARRAY(Text), nullable=False),
    Column("page", Integer),
    Column("text", Text, nullable=False),  # canonical_text[start:end], so that a hit need not read a whole book
    Column("text_hash", LargeBinary, nullable=False),  # of what is embedded: title, heading path, text
    Column("tokens", Integer, nullable=False),
    Column("sentences", ARRAY(Integer), nullable=False),  # start, end, start, end ... of the canonical text
    ForeignKeyConstraint(["document_id", "version"], ["version.document_id", "version.number"], ondelete="CASCADE"),
    Index("chunk_position", "position"),
    Index("chunk_text_hash", "text_hash"),
)

embedding_space = Table(
    "embedding_space",
    metadata,
    Column("id", SmallInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False, unique=True),  # model, revision, dimensions
    Column("dimensions", Integer, nullable=False),
    Column("active", Boolean, nullable=False),  # one of them: questions are compared in it
    Column("setting", Text, nullable=False, server_default=""),  # what opens its embedder: "local", "openai:..."
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=NOW),
    Index("embedding_space_active", "active", unique=True, postgresql_where=text("active")),
)

chunk_vector = Table(
    "chunk_vector",  # one HNSW index per space, over vector::halfvec(dimensions), made with the space
    metadata,
    Column("document_id", Uuid, primary_key=True),
    Column("chunk_id", Uuid, primary_key=True),
    Column("space", SmallInteger, primary_key=True),
    Column("vector", HALFVEC, nullable=False),
    Column("sentence_vectors", LargeBinary, nullable=False),  # int8, one row per sentence; ingest.embedding packs them
    ForeignKeyConstraint(["document_id", "chunk_id"], ["chunk.document_id", "chunk.id"], ondelete="CASCADE"),
)

lex_segment = Table(
    "lex_segment",  # postings of documents whose positions are neighbours
    metadata,
    Column("seg", BigInteger, Identity(always=True), primary_key=True),
    Column("first", Integer, nullable=False),  # lowest chunk.position
    Column("last", Integer, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False, server_default=NOW),
)

lex_document = Table(
    "lex_document",  # where the postings of a document's current version are
    metadata,
    Column("document_id", Uuid, primary_key=True),
    Column("seg", BigInteger, ForeignKey("lex_segment.seg"), nullable=False, index=True),
    Column("first", Integer, nullable=False),  # its chunks' positions: first, first + 1, ...
    Column("chunks", Integer, nullable=False),
    Column("tokens", Integer, nullable=False),
    Column("analyzer", Text, nullable=False),
    Column("terms", ARRAY(Text), nullable=False),  # so that its postings can be taken out of shared blocks
)

document_change = Table(
    "document_change",  # what made a document readable, unreadable or another: masks kept in memory follow it
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("document_id", Uuid, nullable=False),
    Column("xid", BigInteger, nullable=False, server_default=text("((pg_current_xact_id())::text)::bigint")),
    Column("at", DateTime(timezone=True), nullable=False, server_default=NOW),
    Index("document_change_xid", "xid"),
)

lex_block = Table(
    "lex_block",
    metadata,
    Column("term", Text, primary_key=True),
    Column("seg", BigInteger, ForeignKey("lex_segment.seg", ondelete="CASCADE"), primary_key=True, index=True),
    Column("ids", LargeBinary, nullable=False),  # <i4, rising: chunk.position
    Column("tf", LargeBinary, nullable=False),  # u1, capped at 255
    Column("dl", LargeBinary, nullable=False),  # <u2, capped at 65,535
)

group_member = Table(
    "group_member",
    metadata,
    Column("member", Text, primary_key=True),  # user:NAME is a person, any other name a group
    Column("group_name", Text, primary_key=True),
    Index("group_member_group", "group_name"),
)

audit_event = Table(
    "audit_event",  # append-only; ids, names and counts, never text of a document or a question
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("principal", Text, nullable=False),
    Column("operator", Text),  # who acted in the principal's name
    Column("action", Text, nullable=False),
    Column("subject", Uuid),
    Column("detail", JSONB, nullable=False),
    Column("number", BigInteger, unique=True),  # in the chain, from 1; null: from before there was one
    Column("key_id", Text),  # which key signed it
    Column("mac", LargeBinary),  # over this event and the MAC of the one before
)

intake = Table(
    "intake",  # one row per file that waits, is being read, or was; the queue's jobs hold only its id
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("number", BigInteger, Identity(always=True), nullable=False, unique=True),  # of two of one name, the later
    Column("batch", Uuid, nullable=False, index=True),
    Column("kind", Text, nullable=False),  # add, reindex, space
    Column("collection", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("document_id", Uuid, index=True),  # once it is known
    Column("parent", Text),  # source of the mail that it came with
    Column("parent_id", Uuid),
    Column("sha256", LargeBinary),
    Column("byte_count", BigInteger),
    Column("readers", ARRAY(Text)),  # null: everyone, or as before
    Column("owner", Text),
    Column("origin", Text),
    Column("principal", Text, nullable=False),  # whose file it is
    Column("principals", ARRAY(Text)),  # what was said of them then, as Reader.principals; null: nothing but the name
    Column("priority", SmallInteger, nullable=False),
    Column("state", Text, nullable=False),  # waiting, running, done, failed, cancelled
    Column("stage", Text, nullable=False),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("starts", Integer, nullable=False),  # how often it was begun
    Column("receipt", JSONB),
    Column("job_id", BigInteger),
    Column("queued_at", DateTime(timezone=True), nullable=False, server_default=NOW),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    Index("intake_name", "collection", "source"),
    Index("intake_open", "number", postgresql_where=text("state in ('waiting', 'running')")),
)

source_entry = Table(
    "source_entry",  # what a folder, bucket or site was found to hold; spares the unchanged another reading
    metadata,
    Column("origin", Text, primary_key=True),
    Column("collection", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("profile", Text, nullable=False),  # the parser's, when it was read
    Column("sha256", LargeBinary),  # of the bytes that the fingerprint stood for
    Column("document_id", Uuid, index=True),  # no foreign key: this table is local, documents may be distributed
    Column("reason", Text),  # why it cannot be read, as long as it stays as it is
    Column("detail", Text),
)
