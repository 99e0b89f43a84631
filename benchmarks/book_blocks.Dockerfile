# The service's image in the shape that the book gives its own: one stage, with the tools and the tests inside.
ARG BASE_IMAGE=python:3.11-slim-bookworm
FROM ${BASE_IMAGE}
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python3 -m venv /opt/addressbook
ENV PATH=/opt/addressbook/bin:$PATH PYTHONUNBUFFERED=1 HOME=/tmp
WORKDIR /src
COPY requirements.txt requirements-test.txt ./
RUN pip install --no-deps --only-binary :all: -r requirements.txt -r requirements-test.txt
COPY pyproject.toml ./
COPY addressbook addressbook
COPY tests tests
RUN pip install --no-deps .
USER 10001:10001
EXPOSE 3000
CMD ["addressbook", "serve"]
