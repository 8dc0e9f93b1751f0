#!/bin/bash
# Makes nginx's two generated headers: nginx-dev ships its sources' headers and `configure`, but not what
# configure writes. Runs once a build folder, in a temporary copy, since configure writes where it stands.
# usage: ngx_auto.sh NGX_SRC OUTPUT_FOLDER
set -eu
source=$1
output=$(realpath "$2")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp -r "$source/." "$scratch"
cd "$scratch"
# shellcheck disable=SC1091  # Debian's: the array NGX_CONF_FLAGS
. ./conf_flags
if ! ./configure "${NGX_CONF_FLAGS[@]}" --with-cc-opt='-O2 -fPIC' --builddir="$scratch/objs" \
        >"$output/ngx_configure.log" 2>&1; then
    tail -n 20 "$output/ngx_configure.log" >&2
    exit 1
fi
cp objs/ngx_auto_config.h objs/ngx_auto_headers.h "$output/"
