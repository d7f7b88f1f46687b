# SPDX-License-Identifier: BSD-3-Clause
# Sourced by the other scripts: where things are, how they speak.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${PSI_BUILD:-$top/build} # PSI_BUILD=DIR builds elsewhere

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\033[1m' plain=$'\033[0m'; else bold='' plain=''; fi
say() { printf '%s==>%s %s\n' "$bold" "$plain" "$*"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }
