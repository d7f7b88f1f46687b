#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Every public header compiles alone, seeing only the headers of the modules below it.
set -euo pipefail
cd "$(dirname "$0")/.."
dpdk=$(pkg-config --cflags-only-I libdpdk)
bad=0 cnt=0
for h in lib/*/psi_*.h; do
	inc=()
	for d in lib/*/; do inc+=("-I$d"); done
	extra=()
	case $h in lib/port/* | lib/worker/* | lib/frag/*) read -ra extra <<<"-include rte_config.h $dpdk" ;; esac
	cnt=$((cnt + 1))
	${CC:-gcc} -std=gnu11 -march=x86-64-v2 -Wall -Wextra -Werror -Wno-unused-parameter -fsyntax-only \
		"${inc[@]}" "${extra[@]}" -x c "$h" || { bad=1; echo "$h does not compile alone"; }
done
echo "$cnt public headers compiled alone"
exit $bad
