#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""pinsight doctor on machines made of files: what /proc and /sys hold is written here, what must be said follows from it.

    doctor_test.py PINSIGHT
"""
import json
import os
import subprocess
import sys
import tempfile

PINSIGHT = sys.argv[1]


def write(base, files):
    for path, text in files.items():
        full = base + path
        os.makedirs(os.path.dirname(full), exist_ok=True)
        if text is None:
            os.makedirs(full, exist_ok=True)
        elif text.startswith('->'):
            os.symlink(text[2:], full)
        else:
            with open(full, 'w') as f:
                f.write(text)


def doctor(base, *args, status=0):
    p = subprocess.run([PINSIGHT, 'doctor', '--base=' + base, *args], capture_output=True, text=True)
    assert p.returncode == status, (p.returncode, p.stdout, p.stderr)
    return p.stdout


def findings(base, status=0):
    return [json.loads(x) for x in doctor(base, '--json', status=status).splitlines()]


def said(found, level, *words):
    return [f for f in found if f['level'] == level and all(w in f['text'] + f.get('mend', '') for w in words)]


# A server with a card of two ports, the first given to vfio, cores and huge pages set aside.
SERVER = {
    '/proc/cpuinfo': 'processor\t: 0\nmodel name\t: Test CPU @ 2.00GHz\nflags\t\t: fpu sse4_2 avx2 aes constant_tsc nonstop_tsc\n',
    '/proc/meminfo': 'MemTotal:       65536000 kB\nMemFree: 1 kB\n',
    '/proc/mounts': 'proc /proc proc rw 0 0\nhugetlbfs /dev/hugepages hugetlbfs rw 0 0\n',
    '/proc/self/status': 'Name:\tx\nCapEff:\t000001ffffffffff\n',
    '/proc/net/route': 'Iface\tDestination\tGateway\neno1\t00000000\t0100A8C0\n',
    '/dev/hugepages': None,
    '/dev/shm': None,
    '/etc/ssl/certs/a.pem': 'x',
    '/sys/devices/system/cpu/online': '0-7\n',
    '/sys/devices/system/cpu/isolated': '4-5,7\n',
    '/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor': 'performance\n',
    '/sys/devices/system/node/node0': None,
    '/sys/devices/system/node/node1': None,
    '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages': '1024\n',
    '/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages': '1000\n',
    '/sys/kernel/iommu_groups/0': None,
    '/sys/bus/pci/drivers/vfio-pci': None,
    '/dev/vfio/vfio': 'x',
    '/sys/bus/pci/devices/0000:3b:00.0/class': '0x020000\n',
    '/sys/bus/pci/devices/0000:3b:00.0/numa_node': '1\n',
    '/sys/bus/pci/devices/0000:3b:00.0/driver': '->../../drivers/vfio-pci',
    '/sys/bus/pci/devices/0000:00:1f.2/class': '0x010601\n',  # a disk controller, whatever its driver
    '/sys/bus/pci/devices/0000:00:1f.2/driver': '->../../drivers/vfio-pci',
    '/sys/class/net/eno1/mtu': '1500\n',
    '/sys/class/net/eno1/type': '1\n',
    '/sys/class/net/eno1/flags': '0x1003\n',
    '/sys/class/net/eno1/carrier': '1\n',
    '/sys/class/net/eno1/speed': '1000\n',
    '/sys/class/net/eno1/queues/rx-0': None,
    '/sys/class/net/eno1/queues/rx-1': None,
    '/sys/class/net/eno1/device': '->../../0000:01:00.0',
    '/sys/class/net/lo/mtu': '65536\n',
    '/sys/class/net/lo/type': '772\n',
    '/sys/class/net/lo/flags': '0x9\n',
}

# A small old machine: one core without SSE4.2, no rights, no huge pages, one interface that is down.
OLD = {
    '/proc/cpuinfo': 'model name\t: Old CPU\nflags\t\t: fpu sse2 sse4_1\n',
    '/proc/meminfo': 'MemTotal:       500000 kB\n',
    '/proc/self/status': 'CapEff:\t0000000000000000\n',
    '/sys/devices/system/cpu/online': '0\n',
    '/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor': 'powersave\n',
    '/sys/class/net/eth9/mtu': '9000\n',
    '/sys/class/net/eth9/type': '1\n',
    '/sys/class/net/eth9/flags': '0x1002\n',
    '/sys/class/net/eth9/queues/rx-0': None,
}

with tempfile.TemporaryDirectory() as tmp:
    server, old, empty = (os.path.join(tmp, x) for x in ('server', 'old', 'empty'))
    write(server, SERVER)
    write(old, OLD)
    os.mkdir(empty)

    f = findings(server)
    assert said(f, 'good', 'Test CPU @ 2.00GHz', '8 cores', '2 NUMA nodes'), f
    assert said(f, 'good', '2000 MB of huge pages free'), f
    assert said(f, 'good', '0000:3b:00.0', 'vfio-pci', 'NUMA node 1'), f
    assert said(f, 'good', 'eno1 at 0000:01:00.0', '2 receive queues', '1000 Mbit/s', 'own traffic'), f
    assert not said(f, 'bad') and not said(f, 'note', 'isolated') and not said(f, 'note', 'governor'), f
    assert not [x for x in f if '1f.2' in x['text']], f
    c = doctor(server, '--config')
    assert 'device: "0000:3b:00.0"' in c and 'workers: [4, 5, 7]' in c and 'huge_pages: true' in c, c
    assert 'roots' not in c and 'interface:' not in c, c

    f = findings(old, status=1)
    assert said(f, 'bad', 'SSE4.2') and said(f, 'bad', 'CAP_NET_RAW', 'sudo'), f
    assert said(f, 'slow', 'one core') and said(f, 'slow', 'no huge pages', 'vm.nr_hugepages'), f
    assert said(f, 'note', 'eth9', 'down', 'ip link set eth9 up') and said(f, 'note', 'powersave'), f
    assert said(f, 'slow', '488 MB of memory') and said(f, 'note', 'ca-certificates'), f
    c = doctor(old, '--config', status=1)
    assert 'interface: eth9' in c and 'mtu: 9000' in c and 'roots: ""' in c and 'workers' not in c and 'huge_pages: false' in c, c

    # A machine that tells nothing is no reason to break.
    f = findings(empty, status=1)
    assert said(f, 'slow', 'no network interface but loopback'), f
    assert 'interface: lo' in doctor(empty, '--config', status=1)

    # For a person: every problem has its area, and its mend below it; nothing is wider than 100 columns.
    text = doctor(old, status=1)
    assert 'mend: sudo ip link set eth9 up' in text and 'pinsight check pinsight.yaml' in text and '\033' not in text, text
    assert max(map(len, text.splitlines())) <= 100, text
    p = subprocess.run([PINSIGHT, 'doctor', '--bse=x'], capture_output=True, text=True)
    assert p.returncode == 2 and "'--bse=x'" in p.stderr and 'pinsight doctor --help' in p.stderr, p
    # This machine, whatever it is.
    p = subprocess.run([PINSIGHT, 'doctor'], capture_output=True, text=True)
    assert p.returncode in (0, 1) and 'ports:' in p.stdout, p
print('doctor says what the machines are')
