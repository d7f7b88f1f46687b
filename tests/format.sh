#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Every C file of the tree stands as .clang-format has it. Tables (.def) are exempt.
#   tests/format.sh          says which files differ, and fails if any
#   tests/format.sh --fix    mends them
set -euo pipefail
cd "$(dirname "$0")/.."
mapfile -t files < <(git ls-files '*.c' '*.h')
if [ "${1:-}" = --fix ]; then exec clang-format -i "${files[@]}"; fi
clang-format --dry-run -Werror "${files[@]}" 2>&1 | grep -E 'error:' | cut -d: -f1 | sort | uniq -c >/tmp/format.$$ || true
if [ -s /tmp/format.$$ ]; then
	echo "not formatted (places, file); tests/format.sh --fix mends them:"
	cat /tmp/format.$$
	rm -f /tmp/format.$$
	exit 1
fi
rm -f /tmp/format.$$
echo "${#files[@]} files are formatted"
