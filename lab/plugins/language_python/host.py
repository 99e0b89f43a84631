"""The service `LanguageRuntime`, as far as the lab's programs and policy packs need it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import grpc
from google.protobuf import empty_pb2, json_format
from typing_extensions import override

from lab.plugins.engine import Engine
from lab.plugins.language_python.environments import Environment, EnvironmentProblem
from lab.plugins.language_python.processes import Processes, output
from lab.plugins.protocol import language_pb2, language_pb2_grpc, plugin_pb2

EXECUTOR = "pulumi-language-python-exec"
# The executor's exit code when it has already shown the error.
SHOWN = 32


def find_executor() -> str:
    """Return the program loader of the engine's release, beside `pulumi` or on PATH. Raises EnvironmentProblem."""
    pulumi = shutil.which("pulumi")
    folders = [Path(pulumi).resolve().parent] if pulumi else []
    folders += [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    for folder in folders:
        executor = folder / EXECUTOR
        # An older release's executor does not know this argument.
        if executor.is_file() and "--root_directory" in executor.read_text(errors="replace"):
            return str(executor)
    raise EnvironmentProblem(
        f"{EXECUTOR} is neither beside pulumi nor on PATH. Copy it from the Pulumi SDK's Go module, python/cmd."
    )


def _environment(info: language_pb2.ProgramInfo, context: grpc.ServicerContext) -> Environment:
    """Return the program's environment, or end the call with the reason why there is none."""
    try:
        return Environment.of(info.root_directory, json_format.MessageToDict(info.options))
    except EnvironmentProblem as problem:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(problem))


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Runs Python programs for the engine."""

    def __init__(self, engine: Engine, address: str) -> None:
        self._engine = engine
        self._address = address
        self._processes = Processes()

    def stop(self) -> None:
        """End all programs."""
        self._processes.end_all()

    @override
    def Handshake(self, request: Any, context: grpc.ServicerContext) -> language_pb2.LanguageHandshakeResponse:
        self._address = request.engine_address
        self._engine.attach(request.engine_address)
        return language_pb2.LanguageHandshakeResponse()

    @override
    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=metadata.version("pulumi"))

    @override
    def GetRequiredPackages(
        self, request: Any, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPackagesResponse:
        response = language_pb2.GetRequiredPackagesResponse()
        for name, version in _environment(request.info, context).required_plugins():
            response.packages.add(name=name, kind="resource", version=version)
        return response

    @override
    def Run(self, request: Any, context: grpc.ServicerContext) -> language_pb2.RunResponse:
        environment = _environment(request.info, context)
        try:
            executor = find_executor()
        except EnvironmentProblem as problem:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(problem))
        variables = environment.variables(
            {
                "PULUMI_CONFIG": json.dumps(dict(request.config)),
                "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
            }
        )
        command = [environment.python, "-u", executor, *self._executor_arguments(request)]
        process = self._processes.start(command, request.pwd, variables, context, piped=False)
        return _result(self._processes.wait(process))

    def _executor_arguments(self, request: Any) -> list[str]:
        options = {
            "monitor": request.monitor_address,
            "engine": self._address,
            "project": request.project,
            "root_directory": request.info.root_directory,
            "stack": request.stack,
            "pwd": request.pwd,
            "dry_run": str(request.dryRun).lower(),
            "parallel": str(request.parallel),
            "organization": request.organization,
        }
        arguments = [part for name, value in options.items() if value for part in (f"--{name}", value)]
        return [*arguments, request.info.entry_point or request.program or ".", *request.args]

    @override
    def RunPlugin(self, request: Any, context: grpc.ServicerContext) -> Iterator[language_pb2.RunPluginResponse]:
        if request.kind != "analyzer":
            _refuse("RunPlugin for anything but a policy pack", context)
        environment = _environment(request.info, context)
        variables = environment.variables(dict(pair.partition("=")[::2] for pair in request.env))
        command = [environment.python, "-u", "-m", "pulumi.policy", *request.args, request.info.program_directory]
        process = self._processes.start(command, request.pwd, variables, context, piped=True)
        for name, chunk in output(process):
            yield (
                language_pb2.RunPluginResponse(stdout=chunk)
                if name == "stdout"
                else language_pb2.RunPluginResponse(stderr=chunk)
            )
        yield language_pb2.RunPluginResponse(exitcode=self._processes.wait(process))

    @override
    def About(self, request: Any, context: grpc.ServicerContext) -> language_pb2.AboutResponse:
        python = _environment(request.info, context).python
        version = subprocess.run([python, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
        return language_pb2.AboutResponse(executable=python, version=version, metadata={"host": "stand-in"})

    @override
    def GetProgramDependencies(
        self, request: Any, context: grpc.ServicerContext
    ) -> language_pb2.GetProgramDependenciesResponse:
        response = language_pb2.GetProgramDependenciesResponse()
        for name, version in _environment(request.info, context).distributions():
            response.dependencies.add(name=name, version=version)
        return response

    @override
    def Cancel(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self._processes.end_all()
        return empty_pb2.Empty()

    @override
    def InstallDependencies(
        self, request: Any, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        _refuse("`pulumi install`; use pip in the virtual environment", context)


def _result(code: int) -> language_pb2.RunResponse:
    if code == 0:
        return language_pb2.RunResponse()
    if code == SHOWN:
        return language_pb2.RunResponse(bail=True)
    if code < 0:
        return language_pb2.RunResponse(error=f"program was ended by signal {-code}")
    return language_pb2.RunResponse(error=f"program exited with non-zero exit code: {code}")


def _refuse(what: str, context: grpc.ServicerContext) -> NoReturn:
    context.abort(
        grpc.StatusCode.UNIMPLEMENTED,
        f"The lab's stand-in for the Python language host has no {what}. Install the official pulumi-language-python.",
    )
