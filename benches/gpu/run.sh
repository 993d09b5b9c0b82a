#!/bin/sh
# What this is: run.py beside it.
exec python3 "$(dirname "$0")/run.py" "$@"
