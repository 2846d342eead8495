"""A project that a real rebar3 builds: Hex packages, dependencies from git, one of them in C."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import rebar3
from builder_tools import DEADLINE, FIXED, GitServer, Repository, Result, Workshop, serving
from processes import tool

if TYPE_CHECKING:
    from collections.abc import Iterator

HELPERS = Path(__file__).parent / "helpers"
NIF = """\
#include <erl_nif.h>
static ERL_NIF_TERM answer(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
    return enif_make_int(env, 42);
}
static ErlNifFunc functions[] = {{"answer", 0, answer}};
ERL_NIF_INIT(gamma, functions, NULL, NULL, NULL, NULL)
"""
RELEASE_CONFIG = """\
{{erl_opts, [deterministic, debug_info]}}.
{{deps, [{deps}]}}.
{{hex, [{{repos, [#{{name => <<"hexpm">>, repo_public_key => <<"{key}">>}}]}}]}}.
{{relx, [{{release, {{mongooseim, "1.0.0"}}, [mongooseim]}}, {{dev_mode, true}},
        {{include_erts, false}}, {{src_tests, false}}, {{extended_start_script, false}},
        {{generate_start_script, false}}, {{overlay, [{{mkdir, "bin"}}]}}]}}.
"""
MAKEFILE = """\
rel:
	@echo "builder.test: $$(git config --get builder.test)"
	rebar3 as prod release
"""


def path() -> str:
    """Return a PATH with rebar3 and its Erlang."""
    assert (rebar3.PATH / "rebar3").exists(), "no rebar3: python3 tools/setup.py rebar3"
    return f"{rebar3.PATH}:{os.environ['PATH']}"


def write_application(folder: Path, name: str, *, version: str = "1.0.0", uses: str = "") -> None:
    """Write the sources of an Erlang application that calls `answer/0` of the others in `uses`."""
    (folder / "src").mkdir(parents=True, exist_ok=True)
    words = uses.split()
    calls = ", ".join([f"{word}:answer()" for word in words] or ["1"])
    (folder / "src" / f"{name}.erl").write_text(
        f"-module({name}).\n-export([answer/0]).\nanswer() -> [{calls}].\n"
    )
    applications = ", ".join(["kernel", "stdlib", *words])
    (folder / "src" / f"{name}.app.src").write_text(
        f'{{application, {name}, [{{description, "for tests"}}, {{vsn, "{version}"}},'
        f" {{applications, [{applications}]}}]}}.\n"
    )
    (folder / "rebar.config").write_text("{erl_opts, [deterministic, debug_info]}.\n")


def write_nif(folder: Path) -> None:
    """Write the sources of `gamma`, whose function is in C."""
    write_application(folder, "gamma")
    (folder / "src" / "gamma.erl").write_text(
        "-module(gamma).\n-export([answer/0]).\n-on_load(load/0).\n"
        "load() -> erlang:load_nif(filename:join(code:priv_dir(gamma), gamma), 0).\n"
        "answer() -> erlang:nif_error(not_loaded).\n"
    )
    (folder / "gamma.c").write_text(NIF)
    (folder / "gamma.mk").write_text(
        f"priv/gamma.so: gamma.c\n\tmkdir -p priv && cc $(CFLAGS) -shared -fPIC"
        f" -I{rebar3.PATH.parent}/usr/include -o $@ $<\n"
    )
    (folder / "rebar.config").write_text('{pre_hooks, [{compile, "make -f gamma.mk"}]}.\n')


class Project:
    """A repository whose Makefile runs rebar3, and where its dependencies come from."""

    def __init__(self, workshop: Workshop, modules: int = 0) -> None:
        """Make repositories of `alpha` and `gamma`, Hex packages `beta` and `delta`.

        `alpha` has `modules` more modules, which take some time to compile.
        """
        folder = workshop.folder / "repositories"
        self.alpha = Repository(folder / "alpha")
        write_application(self.alpha.folder, "alpha")
        clauses = ";\n".join(
            f"f({n}, X) -> [X + {n} || _ <- lists:seq(1, {n})]" for n in range(200)
        )
        for number in range(modules):
            name = f"alpha_{number}"
            text = f"-module({name}).\n-export([f/2]).\n{clauses}.\n"
            (self.alpha.folder / "src" / f"{name}.erl").write_text(text)
        self.gamma = Repository(folder / "gamma")
        write_nif(self.gamma.folder)
        commits = {one.folder.name: one.commit() for one in (self.alpha, self.gamma)}
        self.hex = workshop.folder / "hex"
        self._make_packages(workshop)
        self.main = Repository(folder / "main")
        write_application(self.main.folder, "mongooseim", uses="alpha beta gamma delta")
        for name in ("include/mongooseim.hrl", "priv/notes"):  # links of a release lead there
            self.main.write(name, "", 0o644)
        self.commits = commits

    def lock(self, git_address: str, environment: dict[str, str]) -> str:
        """Commit rebar.config and the rebar.lock that rebar3 makes; return the commit."""
        dependencies = [
            f'{{{name}, {{git, "{git_address}/{name}", {{ref, "{commit}"}}}}}}'
            for name, commit in self.commits.items()
        ]
        dependencies += [f'{{{name}, "1.0.0"}}' for name in ("beta", "delta")]
        config = RELEASE_CONFIG.format(deps=", ".join(dependencies), key=self.public_key)
        (self.main.folder / "rebar.config").write_text(config)
        (self.main.folder / "Makefile").write_text(MAKEFILE)
        (self.main.folder / "rebar.lock").unlink(missing_ok=True)
        shutil.rmtree(self.main.folder / "_build", ignore_errors=True)
        self.run(["rebar3", "lock"], self.main.folder, environment)
        (self.main.folder / ".gitignore").write_text("_build\n")
        return self.main.commit()

    def run(self, command: list[str], folder: Path, environment: dict[str, str]) -> str:
        """Run a program with rebar3 on its PATH; return its output."""
        ended = subprocess.run(
            command,
            cwd=folder,
            env={**environment, **FIXED, "PATH": path()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout
        return ended.stdout

    def _make_packages(self, workshop: Workshop) -> None:
        modules = workshop.folder / "rebar3-modules"
        with zipfile.ZipFile(rebar3.PATH / "rebar3") as archive:
            archive.extractall(modules)
        sources = []
        for name in ("beta", "delta"):
            sources.append(workshop.folder / "packages" / f"{name}-1.0.0")
            write_application(sources[-1], name)
        script = HELPERS / "hex_repository.escript"
        words = [modules / "rebar" / "ebin", self.hex, *sources]
        command = ["escript", str(script), *map(str, words)]
        key = self.run(command, workshop.folder, workshop.environment())
        self.public_key = key.strip().replace("\n", "\\n")


class _HexHandler(http.server.BaseHTTPRequestHandler):
    """Gives packages out; a tarball that the client has already is not sent again."""

    server: HexServer

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        file = self.server.folder / self.path.strip("/")
        data = file.read_bytes() if file.is_file() else b""
        etag = f'"{hashlib.md5(data).hexdigest()}"'  # noqa: S324
        known = self.headers["If-None-Match"] == etag
        self.send_response(304 if known else 200 if data else 404)
        self.send_header("ETag", etag)
        self.send_header("Content-Length", str(0 if known else len(data)))
        self.end_headers()
        if not known:
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class HexServer(http.server.ThreadingHTTPServer):
    """A Hex repository over http on loopback."""

    def __init__(self, folder: Path) -> None:
        """`folder` has `packages` and `tarballs`."""
        super().__init__(("127.0.0.1", 0), _HexHandler)
        self.folder = folder
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        """What HEX_CDN is to be."""
        return f"http://127.0.0.1:{self.server_port}"


class Site:
    """A project, the servers that its dependencies come from, and builds of it."""

    def __init__(
        self, workshop: Workshop, git: GitServer, packages: HexServer, modules: int = 0
    ) -> None:
        """Make the project's lock, with what the servers have; `modules` are those of `alpha`."""
        self.workshop, self.git, self.packages = workshop, git, packages
        self.project = Project(workshop, modules)
        packages.folder = self.project.hex
        self.environment = {"PATH": path(), "HEX_CDN": packages.url}
        self.lock()

    def lock(self) -> None:
        """Make the lock anew, and forget that anything was fetched for it."""
        environment = self.workshop.environment(**self.environment)
        self.commit = self.project.lock(f"http://{self.git.address}", environment)
        self.requests()

    def change(self) -> None:
        """Commit a change of the project alone, as the next commit of a developer is."""
        source = self.project.main.folder / "src" / "mongooseim.erl"
        source.write_text(source.read_text().replace("answer() ->", "answer() -> io:nl(),"))
        self.commit = self.project.main.commit()

    def start(
        self, *options: str, prefix: tuple[str, ...] = (), stdout: int | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a build of the project's last commit."""
        words = [*options, "p", self.project.main.url, self.commit]
        return self.workshop.start(*words, prefix=prefix, stdout=stdout, **self.environment)  # type: ignore[arg-type]

    def build(self, *options: str, network: bool = True, **variables: str) -> Result:
        """Build the project's last commit, with servers or without any network but loopback."""
        alone = (tool("unshare"), "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
        words = [*options, "p", self.project.main.url, self.commit]
        prefix = () if network else alone
        return self.workshop.build(*words, prefix=prefix, **{**self.environment, **variables})

    def forget_compiled(self) -> None:
        """Let the next build fetch and compile its dependencies."""
        shutil.rmtree(self.workshop.builds / ".cache" / "compiled")

    def requests(self) -> list[str]:
        """Return what the servers were asked for since the last call, sorted."""
        asked = {one for one in self.git.requests if not one.endswith("?service=git-upload-pack")}
        asked |= set(self.packages.requests)
        self.git.requests.clear()
        self.packages.requests.clear()
        return sorted(asked)


@contextlib.contextmanager
def site(workshop: Workshop, modules: int = 0) -> Iterator[Site]:
    """Serve what the project's dependencies come from."""
    with (
        serving(GitServer(workshop.folder / "repositories")) as git,
        serving(HexServer(workshop.folder)) as packages,
    ):
        yield Site(workshop, git, packages, modules)
