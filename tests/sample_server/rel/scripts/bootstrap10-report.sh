#!/usr/bin/env bash
echo "bootstrap: the last one, ${0##*/}"
