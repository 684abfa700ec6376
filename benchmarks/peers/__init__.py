"""Moodspace beside other packages that label expressions, search vectors and draw maps, on the same inputs.

Each package runs in an environment of its own, in a process of its own, through an adapter: a script that takes
`TASK INPUTS ENVIRONMENT [WORDS]` and prints a line `ANSWER {json}`. The tasks are `cold` (load and label one face),
`label` (label all faces) and `time` (milliseconds a face for 1, 8 and 32 at a time; find and label the faces of the
clips, each frame on its own and, where the package has such a mode, as a live video). The figures of the run that is
published are in `figures.json`; the tables of docs/peers.md and README.md are made from them.
"""
