# Build: docker build -t keyturn .
# Run:   docker run --env-file secrets.env -v keyturn:/data -p 8000:8000 keyturn
# Migrations are a step of their own, before the new release starts:
#        docker run --env-file secrets.env -v keyturn:/data keyturn flask db upgrade
FROM python:3.13-slim AS build
WORKDIR /build
COPY pyproject.toml setup.cfg constraints.txt README.md ./
COPY src src
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --constraint constraints.txt .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home keyturn && install -d -o keyturn /data
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    DATABASE_URL=sqlite:////data/keyturn.db
WORKDIR /app
COPY --from=build /venv /venv
COPY migrations migrations
COPY wsgi.py gunicorn.conf.py .flaskenv ./
USER keyturn
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ.get(\"PORT\", 8000)}/livez', timeout=2)"]
CMD ["gunicorn", "--worker-tmp-dir", "/dev/shm", "wsgi:app"]
