"""Lines that an operator looks for: the file and the text, which stays as it is."""

from masking_secrets import APP, ARGS, CFG, OTHER, TOML

IN_TOML = [
    'certfile = "priv/ssl/fake_cert.pem"',
    'keyfile = "priv/ssl/fake_key.pem"',
    'tls.cacertfile = "priv/ssl/cacert.pem"',
    'tls.dhfile = "priv/ssl/dh_4096.pem"  # made at the build',
    'secret.file = "priv/jwt_secret"',
    "port = 5222",
    'ip_address = "::1"',
    'hosts = ["localhost", "anonymous.localhost"]',
    'host = "db.example.com"',
    'url = "https://host:8080/path?page=1"',
    '[auth]\n  methods = ["internal"]',
    'sasl_mechanisms = ["scram_sha256", "plain"]',
    'password.format = "scram"',
    'password.hash = ["sha256", "sha512"]',
    '[auth.password]\n  format = "plain"',
    'auth.password = {format = "scram"}',
    "scram_iterations = 10_000",
    "token_ttl = 3600",
    "cookie_enabled = true",
    'username_key = "sub"',
    'public_key = "x"',
    'keyspace = "mongooseim"',
    'user = "admin@localhost"',
    'urls = ["xmpp:admin@localhost", "mailto:admin@localhost"]',
    "[outgoing_pools.rdbms.default]\n  workers = 5\n  [outgoing_pools.rdbms.default.connection]",
    '[modules.mod_auth_token]\n  backend = "rdbms"',
    '[[listen.c2s]]\r\n  port = 5222\r\n  access = "c2s"\r\n',
    '# A comment, that isn\'t "code".\n#   [x]\n#   host = "h"',
    '{base = "uid=admin,dc=example"}'.replace("{", "x = {"),
    'version = "b9a4f2d942d2aa210304889ce22fe991e9ed2f78"',
    'name = """\na\nb"""',
    "time = 1979-05-27 07:32:00Z",
    'private = "x"\naccess = "y"\nmonkey = "z"',
    'broken\ncertfile = "priv/ssl/fake_cert.pem"',
]

IN_ERLANG = [
    (APP, '[{mnesia, [{dir, "/var/lib/mongooseim"}]}, {sasl, [{x, {error, false}}]}].'),
    (APP, '[\n %{mnesia, [{dir, "/x"}]},\n {ssl, [{session_lifetime, 600}]} %% 10 minutes\n].'),
    (CFG, '{hosts, ["localhost"]}.\n{loglevel, 3}.\noverride_global.'),
    (CFG, '{5222, ejabberd_c2s, [{certfile, "priv/ssl/fake_server.pem"}, starttls]}.'),
    (CFG, '{rdbms_server, {pgsql, "host"}}.'),
    (CFG, "{auth_password_format, scram}."),
    (CFG, "{password, [{format, plain}]}."),
    (CFG, '{jwt_secret_file, "/run/x"}.'),
    (CFG, "#{token_ttl => 60, cookie => true, x => <<1, 2>>}."),
    (CFG, '{x, "a" "b"}. % isn\'t'),
    (CFG, '{acl, local, {user_regexp, ""}}.\n{s2s_addr, {127, 0, 0, 1}}.'),
]

IN_OTHERS = [
    (ARGS, "-sname mongooseim@a\n+K true\n+P 10000000\n"),
    (ARGS, "-kernel inet_dist_listen_min 9100\n# -kernel inet_dist_listen_max 9100\n"),
    (ARGS, "-ssl_dist_opt server_keyfile priv/ssl/fake_key.pem client_keyfile priv/x_key.pem"),
    (ARGS, "#-ssl_dist_opt server_keyfile priv/ssl/fake_key.pem client_verify verify_peer"),
    (ARGS, "-env ERL_MAX_PORTS 250000"),
    (ARGS, "-args_file /etc/x.args '-x' \"y z\""),
    (OTHER, "mongooseim@node-1.example.com\nmongooseim@node-2.example.com"),
    (OTHER, "10.0.0.1 mongooseim-1\n"),
    (OTHER, "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\nport = 1"),
    (OTHER, ""),
]

VISIBLE = [*((TOML, text) for text in IN_TOML), *IN_ERLANG, *IN_OTHERS]
