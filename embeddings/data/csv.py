"""Read tables of faces such as Kaggle's `fer2013.csv`: one row per face, its pixels as numbers in one column.

Columns may be separated by comma, semicolon or tab, the text may be UTF-8 or UTF-16 with or without a byte order mark,
there may be more columns, and expressions may be numbers (3 or 3.0) or names. A row that cannot be used is skipped with
a reason.
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

_VOTE_ALIASES = {"nf": "not-a-face", "not a face": "not-a-face"}
# Counts from here on are taken for other numbers.
_MAX_VOTES = 1000


class Votes:
    """The FER+ votes of ten people on each row of `fer2013.csv`.

    Args:
        file: `fer2013new.csv`.

    Attributes:
        counts: For each row `(10,)` int16 counts, columns in the order of `labels.VOTE_COLUMNS`; all 0 without votes.
        skipped: Rows without valid votes.

    Raises:
        DataError: The file has other columns.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.counts: list[npt.NDArray[np.int16]] = []
        self.skipped: list[Skipped] = []
        self._usages: list[str] = []
        self._images: list[str] = []
        with open_table(file) as (rows, header):
            names = [name.strip().lower() for name in header]
            columns = {_VOTE_ALIASES.get(name, canonical(name)): column for column, name in enumerate(names)}
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
        if all(count.isdecimal() and int(count) < _MAX_VOTES for count in counts):
            return np.array([int(count) for count in counts], np.int16)
        self.skipped.append(Skipped(f"{self.file.name}#{line}", f"expected {len(places)} counts, got other values"))
        return np.zeros(len(places), np.int16)

    def check_against(self, table: Path, usages: list[str]) -> None:
        """Check that the votes belong to the faces of a table.

        Args:
            table: `fer2013.csv`.
            usages: The split of each of its rows, "" where a row names none.

        Raises:
            DataError: The numbers of rows differ, or a row has another split or picture.
        """
        advice = f"; download both again, or move {self.file.name} away to use no votes"
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
    """Return the FER+ table in the folder of a FER2013 table, or None."""
    if table.name.lower() not in CSV_NAMES:
        return None
    beside = [file for file in table.parent.iterdir() if file.name.lower() == FERPLUS_NAME and file.is_file()]
    return beside[0] if beside else None


def _value(row: list[str], column: int | None) -> str:
    return row[column].strip() if column is not None and column < len(row) else ""


# The numbers in column `emotion`. Their order differs from FER2013_CLASSES, which is alphabetical like folders.
CSV_EMOTIONS = {"0": "angry", "1": "disgust", "2": "fear", "3": "happy", "4": "sad", "5": "surprise", "6": "neutral"}

_KNOWN_NAMES = {*FER2013_CLASSES, *FERPLUS_CLASSES}
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SEPARATORS = ",;\t|"
_LABEL_NAMES = ("emotion", "label", "labels", "expression", "emotions")
_BETWEEN_PIXELS = str.maketrans(",;\t\n[]", "      ")


@dataclass(frozen=True, slots=True)
class CsvTable:
    """The rows of a table of faces.

    Attributes:
        by_split: The rows of each split, in the table's order; under "" if the table has no splits.
        unplaced: Unusable rows whose split is unknown.
        has_usage: Whether the table has a column `Usage`.
        usages: The value of `Usage` in each row, including unusable rows; "" if there is none.
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
        progress: Called with the number of rows read and the total.
        votes: The counts of each row (`Votes.counts`); None for no votes.

    Raises:
        DataError: The table has other columns, or is not text.
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
    """Return the splits that a table names, in its order, without reading the pictures.

    Raises:
        DataError: The table has other columns, or is not text.
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
    """Return whether a file is a table with a column of pixels."""
    try:
        with open_table(file) as (_, header):
            return "pixels" in {name.strip().lower() for name in header}
    except (DataError, OSError):
        return False


@contextlib.contextmanager
def open_table(file: Path) -> Iterator[tuple[Iterator[tuple[int, list[str]]], list[str]]]:
    """Open a table; yield its rows, each with its line number, and the names of its columns.

    Blank lines are left out. A row that is not valid CSV is yielded as `[""]`.

    Raises:
        DataError: The file is not text.
        OSError: The file cannot be opened.
    """
    with file.open(newline="", encoding=_encoding(file), errors="replace") as text:
        try:
            first = text.readline()
            separator = max(_SEPARATORS, key=first.count)
            reader = csv.reader(itertools.chain([first], text), delimiter=separator if separator in first else ",")
            header = next(reader, [])
        except (csv.Error, UnicodeError) as error:
            raise DataError(f"{file}: expected a table as text, got another file ({error})") from error
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
    # UTF-16 without a byte order mark: every other byte of ASCII letters is 0.
    if len(start) > 3 and start[1] == 0 == start[3]:
        return "utf-16-le"
    return "utf-16-be" if len(start) > 3 and start[0] == 0 == start[2] else "utf-8"


def _count(file: Path) -> int:
    """Return the approximate number of rows of a table, for the progress."""
    with file.open("rb") as stream:
        return max(sum(1 for _ in stream) - 1, 0)


def _columns(file: Path, header: list[str]) -> dict[str, int]:
    # One of Kaggle's two files has a space before the names.
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
        return Skipped(source, "expected comma-separated values, got an invalid row")
    if len(row) <= max(columns["emotion"], columns["pixels"]):
        return Skipped(source, f"expected {max(columns.values()) + 1} columns, got {len(row)}")
    emotion = _emotion(row[columns["emotion"]].strip())
    if emotion is None:
        found = repr(row[columns["emotion"]].strip()[:20])
        return Skipped(source, f"expected an emotion from 0 to {len(CSV_EMOTIONS) - 1} or its name, got {found}")
    text = row[columns["pixels"]]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # raised by numpy < 3 if the text has more than numbers
            pixels = np.fromstring(text.translate(_BETWEEN_PIXELS), dtype=np.int64, sep=" ")
    except (ValueError, DeprecationWarning):
        return Skipped(source, "expected pixels as numbers, got other text")
    if pixels.size != SIZE * SIZE or pixels.min() < 0 or pixels.max() > 255:
        return Skipped(source, f"expected {SIZE * SIZE} pixels from 0 to 255, got {pixels.size} or other values")
    return Face(source, emotion, pixels.astype(np.uint8).reshape(SIZE, SIZE))


def _emotion(text: str) -> str | None:
    """Return the class of a number or name in a table, or None if it is unknown."""
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
            # A truncated file may end within a word, which is then not the name of a split.
            reason = f"expected a Usage of Training, PublicTest or PrivateTest, got {said[:20]!r}"
            unplaced.append(Skipped(row.source, reason))
    return CsvTable(dict(by_split), unplaced, has_usage, usages)
