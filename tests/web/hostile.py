"""What programs that mean no good would send to a live session; always the same."""

import io
import json
import random
import struct

from PIL import Image

from tests.web.served import frame, frame_jpeg

JPEG = frame_jpeg()


def of_size(width: int, height: int) -> bytes:
    """A JPEG whose header says so."""
    at = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + JPEG[at + 4 :]


def picture(kind: str, size=(64, 64), color=(0, 0, 0), **options) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, kind, **options)
    return buffer.getvalue()


def many_scans() -> bytes:
    progressive = picture("JPEG", (1900, 1900), progressive=True)
    return progressive[:-2] + progressive[progressive.rindex(b"\xff\xda") : -2] * 4000 + progressive[-2:]


FRAMES: list[bytes] = [
    b"", b"\0", struct.pack("<Id", 0, 0.0), frame(0, b"\xff\xd8\xff"), frame(0, b"no JPEG"),
    frame(0, JPEG, float("nan")), frame(0, JPEG, float("inf")),
    frame(0, picture("PNG")), frame(0, picture("GIF")), frame(0, picture("BMP")),
    frame(0, JPEG[:200]), frame(0, of_size(60_000, 60_000)), frame(0, of_size(65_535, 1)), frame(0, of_size(0, 0)),
    frame(0, of_size(10_000, 10_000)), frame(0, picture("JPEG", (2000, 20))), frame(0, picture("JPEG", (8, 8))),
    frame(0, many_scans()), frame(0, b"\xff\xd8\xff\xe1\xff\xff" + b"Exif\0\0" + b"A" * 60_000),
]  # fmt: skip

REQUESTS: list[str] = [
    "", "null", "NaN", "[]", "3", '"start"', "{", "{}", "[" * 100_000, '{"a":' * 50_000, '{"type":null}',
    '{"type":["start"]}', '{"type":{"type":"start"}}', '{"type":"START"}', '{"type":"delete"}', "\ud7ff\u0000\u2028",
    '{"type":"teach"}', '{"type":"teach","track":true,"label":"a"}', '{"type":"teach","track":1.0,"label":"a"}',
    '{"type":"teach","track":"1","label":"a"}', '{"type":"teach","track":NaN,"label":"a"}',
    '{"type":"teach","track":1,"label":null}', '{"type":"teach","track":1,"label":["a"]}',
    '{"type":"teach","track":1' + "0" * 5000 + ',"label":"a"}', '{"type":"record","on":1,"min_group":1}',
    '{"type":"record","on":true,"min_group":true}', '{"type":"record","on":true,"min_group":0}',
    '{"type":"mark"}', '{"type":"mark","name":"a"}',
    '{"type":"mark","name":3,"ago":0}', '{"type":"mark","name":"a","ago":-1}', '{"type":"mark","name":"a","ago":NaN}',
    '{"type":"mark","name":"a","ago":true}', '{"type":"mark","name":"a","ago":1e9}',
    '{"type":"record","on":true,"min_group":1e9}', '{"type":"record","on":"true"}', "x" * 500_000,
    '{"type":"collect"}', '{"type":"collect","track":true}', '{"type":"drop","number":1.5}',
    '{"type":"lesson","label":"a"}', '{"type":"lesson","label":null,"keep":true}',
]  # fmt: skip

# Understood, and refused: they do not count as messages that make no sense.
TEACHING: list[dict[str, object]] = [
    {"type": "teach", "track": track, "label": label}
    for track, label in [
        (-1, "angry"), (10**30, "angry"), (1, ""), (1, " "), (1, "a" * 10_000), (1, "\0"), (1, "\ud800"),
        (1, "../../a"), (1, "<script>"), (1, "\u202eevil"), (-(2**63) - 1, "angry"),
    ]
]  # fmt: skip


def fuzzed(count: int, seed: int = 0) -> list[bytes | str]:
    """Messages that a known one became by chance, and some that are known to be bad."""
    chance = random.Random(seed)
    made: list[bytes | str] = [*FRAMES, *REQUESTS, *(json.dumps(one) for one in TEACHING)]
    while len(made) < count:
        if chance.random() < 0.7:
            message = bytearray(frame(chance.getrandbits(32), JPEG))
            for _ in range(chance.choice((1, 5, 50))):
                message[chance.randrange(len(message))] = chance.getrandbits(8)
            made.append(bytes(message[: chance.choice((len(message), chance.randrange(len(message))))]))
        else:
            text = list(json.dumps({"type": "teach", "track": 1, "label": "happy"}))
            for _ in range(chance.choice((1, 3, 9))):
                text[chance.randrange(len(text))] = chance.choice('{}[]":,0eé\u0000\U0001f600')
            made.append("".join(text))
    chance.shuffle(made)
    return made[:count]
