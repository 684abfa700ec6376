"""Moodspace beside other packages that label expressions, search vectors and draw maps, on the same inputs.

Each package runs in an environment of its own, in a process of its own, through an adapter: a script that takes
`TASK INPUTS ENVIRONMENT [WORDS]` and prints a line `ANSWER {json}`. The tasks are `cold` (load and label one face),
`faces` (label all faces; milliseconds a face for 1, 8 and 32 at a time) and `clip` (find and label the faces of each
frame).
"""
