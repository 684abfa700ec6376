"""Kaggle's table of faces, `fer2013.csv`, and its relatives: one row a face, its pixels as numbers in one column.

Read are comma, semicolon and tab between the columns, UTF-8 and UTF-16 with and without a mark, further columns, and
expressions as numbers (3 or 3.0) or as names. A row that cannot be used is skipped and says why; it never stops the
others.
"""

import codecs
import contextlib
import csv
import itertools
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from moodspace.embeddings.crops import SIZE
from moodspace.embeddings.data.labelled import DataError, Face, Progress, Skipped, reporting
from moodspace.embeddings.data.labels import FER2013_CLASSES, FERPLUS_CLASSES, VOTE_COLUMNS, canonical
from moodspace.embeddings.data.layout import CSV_NAMES, FERPLUS_NAME, SPLITS, split_name

_SPELLED = {"nf": "not-a-face", "not a face": "not-a-face"}
_MOST = 1000


class Votes:
    """What ten people saw in each row of `fer2013.csv`.

    Args:
        file: `fer2013new.csv`.

    Attributes:
        counts: For each row `(10,)` int16 counts, columns in the order of `labels.VOTE_COLUMNS`; all 0 without votes.
        skipped: Rows that hold no votes though they should.

    Raises:
        DataError: The file is another table.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.counts: list[npt.NDArray[np.int16]] = []
        self.skipped: list[Skipped] = []
        self._usages: list[str] = []
        self._images: list[str] = []
        with open_table(file) as (rows, header):
            names = [name.strip().lower() for name in header]
            columns = {_SPELLED.get(name, canonical(name)): column for column, name in enumerate(names)}
            if not columns.keys() >= set(VOTE_COLUMNS):
                found = ", ".join(header)[:200] or "none"
                raise DataError(f"{file}: expected the columns of FER+ (neutral to NF), got {found}")
            places = [columns[name] for name in VOTE_COLUMNS]
            for line, row in rows:
                self.counts.append(self._votes(line, row, places))
                self._usages.append(_value(row, columns.get("usage")))
                self._images.append(_value(row, columns.get("image name")))

    def _votes(self, line: int, row: list[str], places: list[int]) -> npt.NDArray[np.int16]:
        counts = [_value(row, place) for place in places]
        if all(count.isdecimal() and int(count) < _MOST for count in counts):
            return np.array([int(count) for count in counts], np.int16)
        self.skipped.append(Skipped(f"{self.file.name}#{line}", f"expected {len(places)} counts, got others"))
        return np.zeros(len(places), np.int16)

    def check_against(self, table: Path, usages: list[str]) -> None:
        """Make sure that the votes are those of a table's faces.

        Args:
            table: `fer2013.csv`.
            usages: The split that each of its rows says, "" where it says none.

        Raises:
            DataError: The two have other numbers of rows, or a row of another split or picture.
        """
        advice = f"; fetch both again, or move {self.file.name} away to go without votes"
        if len(usages) != len(self.counts):
            raise DataError(
                f"{self.file}: expected the votes on the {len(usages)} rows of {table.name}, "
                f"got {len(self.counts)} rows{advice}"
            )
        for number, (usage, own, image) in enumerate(zip(usages, self._usages, self._images, strict=True)):
            digits = re.sub(r"\D", "", Path(image).stem)
            if (usage and own and split_name(own) != usage) or (digits and int(digits) != number):
                raise DataError(
                    f"{self.file}: expected row {number + 1} to be of {table.name}'s row {number + 1} "
                    f"({usage or 'no split'}), got {image or 'no picture'} ({own or 'no split'}){advice}"
                )


def votes_beside(table: Path) -> Path | None:
    """Return FER+'s table that lies beside a table of FER2013, where there is one."""
    if table.name.lower() not in CSV_NAMES:
        return None
    beside = [file for file in table.parent.iterdir() if file.name.lower() == FERPLUS_NAME and file.is_file()]
    return beside[0] if beside else None


def _value(row: list[str], column: int | None) -> str:
    return row[column].strip() if column is not None and column < len(row) else ""


# The numbers in column `emotion`. Their order is not that of FER2013_CLASSES, which is alphabetical as folders are.
CSV_EMOTIONS = {"0": "angry", "1": "disgust", "2": "fear", "3": "happy", "4": "sad", "5": "surprise", "6": "neutral"}

_KNOWN_NAMES = {*FER2013_CLASSES, *FERPLUS_CLASSES}
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SEPARATORS = ",;\t|"
_LABEL_NAMES = ("emotion", "label", "labels", "expression", "emotions")
_BETWEEN_PIXELS = str.maketrans(",;\t\n[]", "      ")


@dataclass(frozen=True, slots=True)
class CsvTable:
    """What stands in a table of faces.

    Attributes:
        by_split: The rows of each split, in the table's order; under "" where the table has no splits.
        unplaced: Rows that cannot be used and do not say which split they are of.
        has_usage: Whether the table has a column `Usage`.
        usages: What the column `Usage` says in each row of the table, unusable ones included; "" where it says nothing.
    """

    by_split: dict[str, list[Face | Skipped]]
    unplaced: list[Skipped]
    has_usage: bool
    usages: list[str] = field(default_factory=list)


def read_csv_table(
    file: Path, progress: Progress | None = None, votes: list[npt.NDArray[np.int16]] | None = None
) -> CsvTable:
    """Read a table of faces.

    Args:
        file: The table.
        progress: Called with the rows read and their number.
        votes: For each row of the table what ten people saw (`Votes`); None for no votes.

    Raises:
        DataError: The table has other columns, or is no text.
        OSError: The file cannot be opened.
    """
    found: list[tuple[str, Face | Skipped]] = []
    with open_table(file) as (rows, header):
        columns = _columns(file, header)
        for number, (line, row) in enumerate(reporting(rows, _count(file), progress)):
            usage = row[columns["usage"]].strip() if "usage" in columns and len(row) > columns["usage"] else ""
            face = _face(f"{file.name}#{line}", row, columns)
            if votes is not None and number < len(votes) and isinstance(face, Face):
                face = face._replace(votes=votes[number])
            found.append((usage, face))
    return _by_split(found, "usage" in columns)


def split_names(file: Path) -> list[str]:
    """Return the splits that a table names, in its order, without reading the pictures; none where it names none.

    Raises:
        DataError: The table has other columns, or is no text.
    """
    with open_table(file) as (rows, header):
        columns = _columns(file, header)
        if "usage" not in columns:
            return []
        at = columns["usage"]
        names = dict.fromkeys(split_name(row[at]) for _, row in rows if len(row) > at and row[at].strip())
    known = [name for name in names if name in SPLITS]
    return known or list(names)


def has_faces(file: Path) -> bool:
    """Say whether a file is a table with a column of pixels, whatever else it holds."""
    try:
        with open_table(file) as (_, header):
            return "pixels" in {name.strip().lower() for name in header}
    except (DataError, OSError):
        return False


@contextlib.contextmanager
def open_table(file: Path) -> Iterator[tuple[Iterator[tuple[int, list[str]]], list[str]]]:
    """Open a table; gives its rows, each with its line number, and the names of its columns.

    Blank lines are left out. A row that is no CSV at all comes as one empty text.

    Raises:
        DataError: The file is no text.
        OSError: The file cannot be opened.
    """
    with file.open(newline="", encoding=_encoding(file), errors="replace") as text:
        try:
            first = text.readline()
            separator = max(_SEPARATORS, key=first.count)
            reader = csv.reader(itertools.chain([first], text), delimiter=separator if separator in first else ",")
            header = next(reader, [])
        except (csv.Error, UnicodeError) as error:
            raise DataError(f"{file}: expected a table as text, got something else ({error})") from error
        yield _rows(reader), header


def _rows(reader: Any) -> Iterator[tuple[int, list[str]]]:
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except (csv.Error, UnicodeError):
            row = [""]
        if row:
            yield reader.line_num, row


def _encoding(file: Path) -> str:
    with file.open("rb") as stream:
        start = stream.read(64)
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    # UTF-16 without a mark: every other byte of its ASCII letters is 0.
    if len(start) > 3 and start[1] == 0 == start[3]:
        return "utf-16-le"
    return "utf-16-be" if len(start) > 3 and start[0] == 0 == start[2] else "utf-8"


def _count(file: Path) -> int:
    """Return about how many rows a table has, for the progress."""
    with file.open("rb") as stream:
        return max(sum(1 for _ in stream) - 1, 0)


def _columns(file: Path, header: list[str]) -> dict[str, int]:
    # One of Kaggle's two files writes a space before the names.
    columns = {name.strip().lower(): column for column, name in enumerate(header)}
    for name in _LABEL_NAMES:
        if "emotion" not in columns and name in columns:
            columns["emotion"] = columns[name]
    if not {"emotion", "pixels"} <= columns.keys():
        found = ", ".join(header)[:200] or "none"
        without = "; its faces have no labels" if "pixels" in columns else ""
        raise DataError(f"{file}: expected the columns emotion, pixels and Usage, got {found}{without}")
    return columns


def _face(source: str, row: list[str], columns: dict[str, int]) -> Face | Skipped:
    if row == [""]:
        return Skipped(source, "expected comma-separated values, got a broken row")
    if len(row) <= max(columns["emotion"], columns["pixels"]):
        return Skipped(source, f"expected {max(columns.values()) + 1} columns, got {len(row)}")
    emotion = _emotion(row[columns["emotion"]].strip())
    if emotion is None:
        found = repr(row[columns["emotion"]].strip()[:20])
        return Skipped(source, f"expected an emotion from 0 to {len(CSV_EMOTIONS) - 1} or its name, got {found}")
    text = row[columns["pixels"]]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # how numpy < 3 says that a text holds more than numbers
            pixels = np.fromstring(text.translate(_BETWEEN_PIXELS), dtype=np.int64, sep=" ")
    except (ValueError, DeprecationWarning):
        return Skipped(source, "expected pixels as numbers, got other text")
    if pixels.size != SIZE * SIZE or pixels.min() < 0 or pixels.max() > 255:
        return Skipped(source, f"expected {SIZE * SIZE} pixels from 0 to 255, got {pixels.size} or others")
    return Face(source, emotion, pixels.astype(np.uint8).reshape(SIZE, SIZE))


def _emotion(text: str) -> str | None:
    """Return the class that a table means by a number or a name; None where it means none."""
    whole, _, rest = text.partition(".")
    if whole in CSV_EMOTIONS and not rest.strip("0"):
        return CSV_EMOTIONS[whole]
    name = canonical(text)
    return name if name in _KNOWN_NAMES else None


def _by_split(found: list[tuple[str, Face | Skipped]], has_usage: bool) -> CsvTable:
    usages = [split_name(usage) for usage, _ in found]
    by_split: defaultdict[str, list[Face | Skipped]] = defaultdict(list)
    unplaced: list[Skipped] = []
    known = any(usage in SPLITS for usage in usages)
    placed = any(usages)
    for usage, (said, row) in zip(usages, found, strict=True):
        if not placed or (usage in SPLITS if known else usage):
            by_split[usage].append(row)
        elif isinstance(row, Skipped):
            unplaced.append(row)
        else:
            # A file that was cut off within its last word, which is then no split's name.
            reason = f"expected a Usage of Training, PublicTest or PrivateTest, got {said[:20]!r}"
            unplaced.append(Skipped(row.source, reason))
    return CsvTable(dict(by_split), unplaced, has_usage, usages)
