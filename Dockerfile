# One image recipe, two targets: `web` without the training libraries, `worker` with them.
FROM python:3.12-slim AS code
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN useradd --create-home --uid 10001 morelli && mkdir /data && chown morelli /data
WORKDIR /srv/morelli
COPY pyproject.toml README.md LICENSE ./
COPY requirements requirements
COPY method method
COPY taxonomy taxonomy
COPY app app
COPY worker worker
COPY templates templates
COPY migrations migrations
ENV MORELLI_HOME=/data

FROM code AS web
RUN pip install --no-deps --require-hashes --requirement requirements/web.lock && pip install --no-deps --no-build-isolation --editable .
USER morelli
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=3s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["morelli", "up", "--no-worker"]

FROM code AS worker
RUN pip install --no-deps --require-hashes --requirement requirements/all.lock && pip install --requirement requirements/torch.txt && pip install --no-deps --no-build-isolation --editable .
USER morelli
STOPSIGNAL SIGTERM
CMD ["python", "-m", "celery", "--app", "worker.celery_app", "worker", "--pool", "threads", "--concurrency", "3", "--queues", "cpu,gpu", "--loglevel", "INFO"]
