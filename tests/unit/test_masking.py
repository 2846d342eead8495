"""What is shown of configuration files has no secret in it, and all else."""

from pathlib import Path

import pytest

from member_entrypoint.release.masking import mask, show_files


@pytest.mark.parametrize(
    "text",
    [
        "-setcookie S3CRET",
        "-sname a@b -setcookie\tS3CRET +K true",
        '  password = "S3CRET"',
        "  password = 'S3CRET' # note",
        '"auth.password"="S3CRET"',
        'connection = {driver = "pgsql", password = "S3CRET", host = "h"}',
        'api_key = "S3CRET"',
        'access_token = "S3CRET"',
        'secret.value = "S3CRET"',
        '{password, "S3CRET"}',
        '{ldap_password, <<"S3CRET">>}.',
        '#{password => "S3CRET"}',
        '{rdbms_server, {pgsql, "host", "database", "user", "S3CRET"}}.',
        '{rdbms_server, {mysql, "host", 3306, "database", "user", "S3CRET"}}.',
        'url = "https://user:S3CRET@host/path"',
        '{rdbms_server, "DSN=mongooseim;UID=user;PWD=S3CRET"}.',
        '{password,\n   "S3CRET with \\" quote S3CRET"}',
    ],
)
def test_a_secret_is_masked(text: str) -> None:
    """In every form that vm.args, app.config, mongooseim.toml and mongooseim.cfg know."""
    assert "S3CRET" in text
    assert "S3CRET" not in mask(text)
    assert "***" in mask(text)


@pytest.mark.parametrize(
    "text",
    [
        "-sname mongooseim@a\n+K true\n",
        '[[listen.c2s]]\n  port = 5222\n  tls.certfile = "priv/cert.pem"\n',
        '[auth]\n  methods = ["internal"]\n',
        'url = "https://host:8080/path"',
        '{rdbms_server, {pgsql, "host"}}.',
    ],
)
def test_all_else_is_shown_as_it_is(text: str) -> None:
    """Who asked to see the files wants to see them."""
    assert mask(text) == text


def test_each_file_is_shown_under_its_path(tmp_path: Path) -> None:
    """In the order of their names."""
    (tmp_path / "b").write_text("two\n")
    (tmp_path / "a").write_text("-setcookie x\n")
    assert show_files(str(tmp_path)) == (
        f"==> {tmp_path}/a <==\n-setcookie ***\n==> {tmp_path}/b <==\ntwo\n"
    )
