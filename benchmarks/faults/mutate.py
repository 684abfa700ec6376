"""Change inputs by chance, always in the same way for a seed: bytes, the values of JSON, and those of SQLite files."""

import contextlib
import json
import random
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from tests.mutants import changed

BYTES, JSON, SQLITE, TEXT = "bytes", "json", "sqlite", "text"

# What programs rarely expect where a number, a text or a list stands.
_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1.5, -0.0, 2**31, 2**63, -(2**63) - 1, 10**30, 10**400, 1e308, -1e308, 1e-320,
    float("nan"), float("inf"), float("-inf"), "", " ", "\0", "a" * 5000, "é\u0301\u202e", "\ud800", "../../etc/passwd",
    "<script>alert(1)</script>", "NaN", "1e999", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", [], {}, [[]],
    [None], {"": None}, [[[[[[]]]]]], ["a"] * 300,
)  # fmt: skip
_DEEP = 3000
_TEXTS = (";", ",", "\t", '"', "\n", "\r", "\0", "\ufeff", "-", "e", "1", "nan", "inf", "T", "=", "+", "\u2028")


def mutate(content: bytes, kind: str, rng: random.Random) -> bytes:
    """Return changed bytes.

    Args:
        content: A whole input.
        kind: How it is built: every kind is now and then changed as bytes only.
        rng: The source of chance.
    """
    if kind != BYTES and rng.random() < 0.7:
        with contextlib.suppress(ValueError, IndexError, sqlite3.Error, RecursionError):
            return {JSON: _changed_json, SQLITE: _changed_sqlite, TEXT: _changed_text}[kind](content, rng)
    return changed(content, rng)


def _changed_json(content: bytes, rng: random.Random) -> bytes:
    document = json.loads(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        document = _with_change(document, rng)
    # Lone surrogates are written as escapes, and numbers that JSON does not have as JavaScript and Python write them.
    text = json.dumps(document)
    if rng.random() < 0.02:
        text = text.replace("null", "[" * _DEEP + "]" * _DEEP, 1) if "null" in text else "[" * _DEEP
    return text.encode()


def _with_change(value: Any, rng: random.Random) -> Any:
    """Return a document in which one value, at any depth, is another."""
    if isinstance(value, dict) and value and rng.random() < 0.95:
        key = rng.choice(list(value))
        match rng.randrange(12):
            case 0:
                return {name: one for name, one in value.items() if name != key}
            case 1:
                return value | {rng.choice(("", "x", "__class__", key + "s")): rng.choice(_ODD)}
            case _:
                return value | {key: _with_change(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        match rng.randrange(12):
            case 0:
                return value[:at] + value[at + 1 :]
            case 1:
                return [*value, value[at]]
            case _:
                return [*value[:at], _with_change(value[at], rng), *value[at + 1 :]]
    return rng.choice(_ODD)


def _changed_sqlite(content: bytes, rng: random.Random) -> bytes:
    with tempfile.TemporaryDirectory(prefix="moodspace-faults-") as folder:
        path = Path(folder) / "changed.sqlite"
        path.write_bytes(content)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for _ in range(rng.choice((1, 1, 2, 4))):
                with contextlib.suppress(sqlite3.Error, OverflowError, UnicodeEncodeError, IndexError):
                    _change_a_table(database, rng.choice(tables), rng)
            database.execute("PRAGMA journal_mode = DELETE")
        return path.read_bytes()


def _change_a_table(database: sqlite3.Connection, table: str, rng: random.Random) -> None:
    columns = [row[1] for row in database.execute(f'PRAGMA table_info("{table}")')]
    column = rng.choice(columns)
    some = f'WHERE rowid IN (SELECT rowid FROM "{table}" ORDER BY rowid LIMIT {rng.choice((1, 2, 1000))})'
    match rng.randrange(10):
        case 0:
            database.execute(f'DELETE FROM "{table}" {some}')
        case 1:
            database.execute(f'DROP TABLE "{table}"')
        case 2:
            database.execute(f'ALTER TABLE "{table}" DROP COLUMN "{column}"')
        case 3:
            database.execute(f"PRAGMA user_version = {rng.randrange(5)}")
        case _:
            odd = rng.choice(_ODD)
            value = json.dumps(odd) if isinstance(odd, (list, dict)) else odd
            if rng.random() < 0.2:
                value = rng.randbytes(rng.randrange(40))
            database.execute(f'UPDATE "{table}" SET "{column}" = ? {some}', (value,))


def _changed_text(content: bytes, rng: random.Random) -> bytes:
    text = list(content.decode())
    for _ in range(rng.choice((1, 2, 6))):
        at = rng.randrange(len(text) + 1)
        match rng.randrange(4):
            case 0:
                text[at : at + rng.randrange(1, 9)] = []
            case 1:
                odd = rng.choice(_ODD)
                text[at : at + rng.randrange(9)] = str(odd)[:500]
            case _:
                text[at : at + rng.randrange(3)] = rng.choice(_TEXTS)
    return "".join(text).encode(rng.choice(("utf-8", "utf-8", "utf-8", "utf-16", "utf-8-sig")), "surrogatepass")
