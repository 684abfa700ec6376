"""Run the product for a long time under steady use, and watch its memory, files, threads, latency and errors.

`processes` starts the programs and samples them, `traffic` is the camera, the visitors and the receivers around them,
`report` makes the figures and the verdict.
"""
