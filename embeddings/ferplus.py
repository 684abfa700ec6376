"""The votes of FER+ (`fer2013new.csv`), which come without pictures: row by row they belong to `fer2013.csv`."""

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embeddings.fer2013_csv import open_table
from embeddings.labelled import DataError, Skipped
from embeddings.labels import VOTE_COLUMNS, canonical
from embeddings.layout import CSV_NAMES, FERPLUS_NAME, split_name

_SPELLED = {"nf": "not-a-face", "not a face": "not-a-face"}
_MOST = 1000


class Votes:
    """What ten people saw in each row of `fer2013.csv`.

    Args:
        file: `fer2013new.csv`.

    Attributes:
        counts: For each row ten counts in the order of `embeddings.labels.VOTE_COLUMNS`; all 0 where there are none.
        skipped: Rows that hold no votes though they should.

    Raises:
        DataError: the file is another table.
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
                raise DataError(f"{file}: expected the columns of FER+ (neutral to NF), received {found}")
            places = [columns[name] for name in VOTE_COLUMNS]
            for line, row in rows:
                self.counts.append(self._votes(line, row, places))
                self._usages.append(_value(row, columns.get("usage")))
                self._images.append(_value(row, columns.get("image name")))

    def _votes(self, line: int, row: list[str], places: list[int]) -> npt.NDArray[np.int16]:
        counts = [_value(row, place) for place in places]
        if all(count.isdecimal() and int(count) < _MOST for count in counts):
            return np.array([int(count) for count in counts], np.int16)
        self.skipped.append(Skipped(f"{self.file.name}#{line}", f"expected {len(places)} counts, received others"))
        return np.zeros(len(places), np.int16)

    def check_against(self, table: Path, usages: list[str]) -> None:
        """Makes sure that the votes are those of a table's faces.

        Args:
            table: `fer2013.csv`.
            usages: The split that each of its rows says, "" where it says none.

        Raises:
            DataError: the two have other numbers of rows, or a row of another split or picture.
        """
        advice = f"; fetch both again, or move {self.file.name} away to go without votes"
        if len(usages) != len(self.counts):
            raise DataError(
                f"{self.file}: expected the votes on the {len(usages)} rows of {table.name}, "
                f"received {len(self.counts)} rows{advice}"
            )
        for number, (usage, own, image) in enumerate(zip(usages, self._usages, self._images, strict=True)):
            digits = re.sub(r"\D", "", Path(image).stem)
            if (usage and own and split_name(own) != usage) or (digits and int(digits) != number):
                raise DataError(
                    f"{self.file}: expected row {number + 1} to be of {table.name}'s row {number + 1} "
                    f"({usage or 'no split'}), received {image or 'no picture'} ({own or 'no split'}){advice}"
                )


def votes_beside(table: Path) -> Path | None:
    """Returns FER+'s table that lies beside a table of FER2013, where there is one."""
    if table.name.lower() not in CSV_NAMES:
        return None
    beside = [file for file in table.parent.iterdir() if file.name.lower() == FERPLUS_NAME and file.is_file()]
    return beside[0] if beside else None


def _value(row: list[str], column: int | None) -> str:
    return row[column].strip() if column is not None and column < len(row) else ""
