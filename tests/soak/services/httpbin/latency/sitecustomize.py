"""Found by PYTHONPATH: each request takes half a second longer, whatever the service does."""

import time

from flask import Flask

answer = Flask.__call__


def wait(self, environ, start_response):
    if environ["PATH_INFO"] != "/status/200":
        time.sleep(0.5)
    return answer(self, environ, start_response)


Flask.__call__ = wait
