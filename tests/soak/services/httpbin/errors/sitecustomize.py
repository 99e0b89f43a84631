"""Found by PYTHONPATH: one request in five fails, whatever the service does."""

import random

from flask import Flask, Response

answer = Flask.__call__


def fail(self, environ, start_response):
    if environ["PATH_INFO"] != "/status/200" and random.random() < 0.2:
        return Response(status=500)(environ, start_response)
    return answer(self, environ, start_response)


Flask.__call__ = fail
