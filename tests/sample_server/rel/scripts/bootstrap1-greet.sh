#!/usr/bin/env bash
echo "bootstrap: hello from ${0##*/}"
