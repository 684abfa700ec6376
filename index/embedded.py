"""What came of a picture file on its way into the gallery: a face as a unit vector, or the reason why there is none."""

from dataclasses import dataclass

from index.gallery import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedFile:
    """A picture file that was read.

    Attributes:
        path: Which one.
        sha256: Of its content, 64 hexadecimal digits; empty where it could not be opened.
        embedding: `(d,)` float32 of unit length, or None where there is no face.
        digest: The SHA-256 of the face's crop, 64 hexadecimal digits; empty where there is no face.
        others: How many more faces the picture shows.
        reason: Why there is no face, for people to read; empty where there is one.
        readable: Whether the file could be opened and was a picture.
        lasting: Whether the outcome is the file's own, so that there is no use in trying again before it changes.
    """

    path: str
    sha256: str = ""
    embedding: FloatArray | None = None
    digest: str = ""
    others: int = 0
    reason: str = ""
    readable: bool = True
    lasting: bool = True
