"""The service `LanguageRuntime`: what the engine asks a language host for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import grpc
from google.protobuf import empty_pb2, json_format
from typing_extensions import override

from lab.plugins.engine import Engine
from lab.plugins.language_python.environments import (
    Environment,
    EnvironmentProblem,
    installed,
    required_packages,
)
from lab.plugins.language_python.processes import Processes, output
from lab.plugins.protocol import language_pb2, language_pb2_grpc, plugin_pb2

EXECUTOR = "pulumi-language-python-exec"
# The executor's exit code when it has shown the error itself.
SHOWN = 32


def find_executor() -> str:
    """The program loader of the engine's own release: beside `pulumi`, or on PATH."""
    pulumi = shutil.which("pulumi")
    folders = [Path(pulumi).resolve().parent] if pulumi else []
    folders += [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    for folder in folders:
        executor = folder / EXECUTOR
        # That of earlier releases doesn't know this argument and would stop at it.
        if executor.is_file() and "--root_directory" in executor.read_text(errors="replace"):
            return str(executor)
    raise EnvironmentProblem(
        f"{EXECUTOR} of this release is neither beside pulumi nor on PATH: it belongs to the Pulumi SDK "
        "(python/cmd of its Go module)."
    )


def _options(info: language_pb2.ProgramInfo) -> dict[str, Any]:
    return json_format.MessageToDict(info.options)


def _environment(info: language_pb2.ProgramInfo, default: str = "") -> Environment:
    return Environment.of(info.root_directory, _options(info), default)


def _child_variables(environment: Environment, more: Mapping[str, str]) -> dict[str, str]:
    variables = {**os.environ, **more, **environment.variables()}
    if environment.folder is not None:
        variables.pop("PYTHONHOME", None)
    return variables


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Runs Python programs for the engine."""

    def __init__(self, engine: Engine, address: str) -> None:
        self._engine = engine
        self._address = address
        self._processes = Processes()

    def stop(self) -> None:
        """End whatever runs."""
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
        packages = _explained(context, lambda: required_packages(_environment(request.info)))
        response = language_pb2.GetRequiredPackagesResponse()
        for package in packages:
            dependency = response.packages.add(
                name=package.name, kind="resource", version=package.version, server=package.server
            )
            for given, field in (
                (package.parameterization, dependency.parameterization),
                (package.extension, dependency.extension),
            ):
                if given:
                    json_format.ParseDict(dict(given), field)
        return response

    @override
    def GetRequiredPlugins(
        self, request: Any, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPluginsResponse:
        packages = _explained(context, lambda: required_packages(_environment(request.info)))
        return language_pb2.GetRequiredPluginsResponse(
            plugins=[
                plugin_pb2.PluginDependency(name=each.name, kind="resource", version=each.version, server=each.server)
                for each in packages
            ]
        )

    @override
    def Run(self, request: Any, context: grpc.ServicerContext) -> language_pb2.RunResponse:
        environment = _explained(context, lambda: _environment(request.info))
        executor = _explained(context, find_executor)
        variables = _child_variables(
            environment,
            {
                "PULUMI_CONFIG": json.dumps(dict(request.config)),
                "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
            },
        )
        command = [environment.python, "-u", executor, *self._executor_arguments(request)]
        process = self._processes.start(command, request.pwd, variables, context, piped=False)
        code = process.wait()
        self._processes.forget(process)
        return _result(code)

    def _executor_arguments(self, request: Any) -> list[str]:
        named = {
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
        given = [part for name, value in named.items() if value for part in (f"--{name}", value)]
        return [*given, request.info.entry_point or request.program or ".", *request.args]

    @override
    def InstallDependencies(
        self, request: Any, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        info = request.info
        folder = Path(info.program_directory or request.directory)
        chosen = str(_options(info).get("virtualenv") or ("venv" if request.is_plugin else ""))
        commands: list[list[str]] = []
        if chosen and not (Path(info.root_directory) / chosen / "pyvenv.cfg").exists():
            commands.append([sys.executable, "-m", "venv", str(Path(info.root_directory) / chosen)])
        python = str(Path(info.root_directory) / chosen / "bin" / "python") if chosen else ""
        if not python:
            python = _explained(context, lambda: _environment(info).python)
        if (folder / "requirements.txt").is_file():
            commands.append([python, "-m", "pip", "install", "-r", str(folder / "requirements.txt")])
        elif (folder / "pyproject.toml").is_file():
            commands.append([python, "-m", "pip", "install", "-e", str(folder)])
        for command in commands:
            process = self._processes.start(command, str(folder), os.environ, context, piped=True)
            for name, chunk in output(process):
                yield language_pb2.InstallDependenciesResponse(**{name: chunk})
            code = process.wait()
            self._processes.forget(process)
            if code:
                context.abort(
                    grpc.StatusCode.FAILED_PRECONDITION,
                    f"{' '.join(command)} failed (exit code {code}); its output is above.",
                )

    @override
    def RunPlugin(self, request: Any, context: grpc.ServicerContext) -> Iterator[language_pb2.RunPluginResponse]:
        environment = _explained(context, lambda: _environment(request.info, default="venv"))
        given = dict(pair.partition("=")[::2] for pair in request.env)
        variables = {**given, **environment.variables()} if given else _child_variables(environment, {})
        command = [
            environment.python,
            "-u",
            *_plugin_arguments(request.kind, request.info.program_directory, request.args),
        ]
        process = self._processes.start(command, request.pwd, variables, context, piped=True)
        for name, chunk in output(process):
            yield (
                language_pb2.RunPluginResponse(stdout=chunk)
                if name == "stdout"
                else language_pb2.RunPluginResponse(stderr=chunk)
            )
        code = process.wait()
        self._processes.forget(process)
        yield language_pb2.RunPluginResponse(exitcode=code)

    @override
    def About(self, request: Any, context: grpc.ServicerContext) -> language_pb2.AboutResponse:
        environment = _explained(context, lambda: _environment(request.info))
        asked = subprocess.run([environment.python, "--version"], capture_output=True, text=True, check=True)
        return language_pb2.AboutResponse(
            executable=environment.python,
            version=asked.stdout.split()[-1],
            metadata={"host": "stand-in", "toolchain": str(_options(request.info).get("toolchain") or "pip")},
        )

    @override
    def GetProgramDependencies(
        self, request: Any, context: grpc.ServicerContext
    ) -> language_pb2.GetProgramDependenciesResponse:
        environment = _explained(context, lambda: _environment(request.info))
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[
                language_pb2.DependencyInfo(name=name, version=version)
                for name, version in installed(environment, request.transitiveDependencies)
            ]
        )

    @override
    def RuntimeOptionsPrompts(self, request: Any, context: grpc.ServicerContext) -> language_pb2.RuntimeOptionsResponse:
        return language_pb2.RuntimeOptionsResponse()

    @override
    def Template(self, request: Any, context: grpc.ServicerContext) -> language_pb2.TemplateResponse:
        return language_pb2.TemplateResponse()

    @override
    def Cancel(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self._processes.end_all()
        return empty_pb2.Empty()

    @override
    def GenerateProgram(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        _refuse("write programs", context)

    @override
    def GenerateProject(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        _refuse("write projects", context)

    @override
    def GeneratePackage(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        _refuse("write SDKs", context)

    @override
    def Pack(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        _refuse("pack SDKs", context)

    @override
    def Link(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        _refuse("link SDKs", context)


def _result(code: int) -> language_pb2.RunResponse:
    if code == 0:
        return language_pb2.RunResponse()
    if code == SHOWN:
        return language_pb2.RunResponse(bail=True)
    if code < 0:
        return language_pb2.RunResponse(error=f"program was ended by signal {-code}")
    return language_pb2.RunResponse(error=f"program exited with non-zero exit code: {code}")


def _plugin_arguments(kind: str, folder: str, arguments: Sequence[str]) -> list[str]:
    """How Python starts a plugin: a policy pack, a folder with `__main__.py`, or an installed package."""
    if kind == "analyzer":
        return ["-m", "pulumi.policy", *arguments, folder]
    if (Path(folder) / "__main__.py").is_file():
        return [folder, *arguments]
    project = Path(folder) / "pyproject.toml"
    if not project.is_file():
        raise EnvironmentProblem(f"{folder} is no plugin: it has neither __main__.py nor pyproject.toml.")
    import tomllib

    return ["-m", "pulumi.run.plugin", tomllib.loads(project.read_text())["project"]["name"], *arguments]


def _explained(context: grpc.ServicerContext, question: Callable[[], Any]) -> Any:
    """The answer, or the call ended with one sentence."""
    try:
        return question()
    except (EnvironmentProblem, OSError, subprocess.SubprocessError) as problem:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(problem))


def _refuse(what: str, context: grpc.ServicerContext) -> NoReturn:
    context.abort(
        grpc.StatusCode.UNIMPLEMENTED,
        f"the stand-in for Pulumi's Python language host does not {what}; the official pulumi-language-python does.",
    )
