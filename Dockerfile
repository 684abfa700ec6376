# The web app in a container; docs/deploy.md explains how to build and run it.
#   docker build -t moodspace . && docker run --rm -p 8501:8501 moodspace
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS installed
COPY requirements/web.txt requirements/headless.txt /tmp/
# opencv-python-headless replaces opencv-python, which links against libGL.
RUN python -m venv /opt/moodspace \
 && install="/opt/moodspace/bin/python -m pip install --disable-pip-version-check --no-cache-dir --require-hashes" \
 && $install -r /tmp/web.txt \
 && /opt/moodspace/bin/python -m pip uninstall --yes opencv-python \
 && $install --no-deps -r /tmp/headless.txt \
 && rm -rf /opt/moodspace/lib/python3*/site-packages/pandas/tests

FROM ${PYTHON_IMAGE}
RUN useradd --create-home --uid 10001 moodspace
COPY --from=installed /opt/moodspace /opt/moodspace
WORKDIR /app
COPY . .
RUN /opt/moodspace/bin/python -m compileall -q .
USER moodspace
ENV PATH=/opt/moodspace/bin:$PATH PYTHONUNBUFFERED=1
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
# Creates and prints a token, unless MOODSPACE_WEB_TOKEN sets one or --public is given.
ENTRYPOINT ["python", "cli.py", "web", "--host", "0.0.0.0", "--port", "8501"]
