#!/bin/sh
# Copies Erlang/OTP out of an image, with the shared libraries that it uses: export-erlang.sh FOLDER
# It runs in images of any age: nothing but a shell, find, sed, ldd and cp is needed.
set -eu
root=$(erl -noshell -eval 'io:put_chars(code:root_dir()), halt().')
libraries="$1/usr/lib/erlang-libraries"
mkdir -p "$1$root" "$libraries" "$1/usr/local/bin"
cp -a "$root/." "$1$root/"
echo "$root" > "$libraries/root"
for name in ct_run dialyzer epmd erl erlc escript run_erl to_erl typer; do
    if [ -e "$root/bin/$name" ]; then ln -s "$root/bin/$name" "$1/usr/local/bin/$name"; fi
done
if [ -f /usr/local/bin/rebar3 ]; then cp -p /usr/local/bin/rebar3 "$1/usr/local/bin/"; fi
find "$root" -type f \( -perm -u+x -o -name '*.so*' \) | while read -r file; do
    ldd "$file" 2> /dev/null || true
done | sed -n 's/.* => \(\/[^ ]*\) (.*/\1/p' | sort -u | while read -r library; do
    cp -L "$library" "$libraries/"
done
