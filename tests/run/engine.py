# SPDX-License-Identifier: BSD-3-Clause
"""An engine under test: `pinsight run` in a folder of its own, and what can be asked of it. Standard library only."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

CPUS = sorted(os.sched_getaffinity(0))
PATIENCE = 240  # seconds; long enough for any machine, however busy: only what hangs takes it


def folder():
    """A new one. DPDK's sockets are in there, and the path of a socket has 107 bytes at most."""
    path = tempfile.mkdtemp(prefix="pinsight-test-")
    if len(path) > 40:
        os.rmdir(path)
        path = tempfile.mkdtemp(prefix="pinsight-test-", dir="/tmp")
    return path


def forget_dpdk(prefix):
    """What an engine of that name leaves behind, when root ran it."""
    shutil.rmtree("/var/run/dpdk/" + prefix, ignore_errors=True)


class Engine:
    """with Engine(PINSIGHT, {"ring.size": "4M"}, ports=[...]) as e: ..."""

    count = 0

    def __init__(self, pinsight, keys=None, ports=(), config=None, args=(), prefix=(), wait=True):
        Engine.count += 1
        self.pinsight = pinsight
        self.dir = folder()
        self.ring = os.path.join(self.dir, "ring")
        self.name = "pinsight-test-%d-%d" % (os.getpid(), Engine.count)
        all_keys = {"ring.path": self.ring, "ring.size": "16MiB", "eal.file_prefix": self.name,
                    "stats.interval": "1s", **(keys or {})}
        cmd = [*prefix, pinsight, "run"]
        for k, v in all_keys.items():
            cmd += ["--set", "%s=%s" % (k, v)]
        if ports:
            cmd += ["--set", "ports=[%s]" % ", ".join(ports)]
        if config:
            cmd += ["--config", config]
        self.log_path = os.path.join(self.dir, "log")
        self.log_file = open(self.log_path, "w")
        env = dict(os.environ, XDG_RUNTIME_DIR=self.dir)
        env.pop("JOURNAL_STREAM", None)
        self.proc = subprocess.Popen(cmd + list(args), stderr=self.log_file, stdout=self.log_file, env=env)
        if wait:
            try:
                self.wait_for_log("engine: running")
            except BaseException:
                self.__exit__()
                raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()
        self.log_file.close()
        shutil.rmtree(self.dir, ignore_errors=True)
        forget_dpdk(self.name)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def wait_for(self, what, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            got = what()
            if got:
                return got
            if self.proc.poll() is not None:
                got = what()
                if got:
                    return got
                raise AssertionError("the engine ended with %d:\n%s" % (self.proc.returncode, self.log()))
            time.sleep(0.05)
        raise AssertionError("waited for %d s in vain:\n%s" % (seconds, self.log()))

    def wait_for_log(self, pattern, seconds=PATIENCE):
        return self.wait_for(lambda: re.search(pattern, self.log()), seconds)

    def events(self, *types):
        """What the ring holds now."""
        r = subprocess.run([self.pinsight, "events", "--ring=" + self.ring, "--dump", "--json",
                            "--type=" + ",".join(types or ("tls_flow",))], capture_output=True, timeout=PATIENCE)
        if r.returncode:
            raise AssertionError(r.stderr.decode())
        return [json.loads(line) for line in r.stdout.splitlines()]

    def stats(self):
        """The newest stats event; None before the first."""
        all_of_them = self.events("stats")
        return all_of_them[-1] if all_of_them else None

    def wait_for_packets(self, n, seconds=PATIENCE):
        def seen():
            s = self.stats()
            return s and s["counters"]["pkt_rx"] >= n
        self.wait_for(seen, seconds)

    def telemetry(self, command):
        for top in (os.path.join(self.dir, "dpdk"), "/var/run/dpdk"):
            path = os.path.join(top, self.name, "dpdk_telemetry.v2")
            if os.path.exists(path):
                break
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.settimeout(PATIENCE)
            s.connect(path)
            s.recv(65536)
            s.send(command.encode())
            return json.loads(s.recv(1 << 20))[command]

    def memory_kib(self):
        with open("/proc/%d/status" % self.proc.pid, encoding="ascii") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))

    def cpu_seconds(self):
        with open("/proc/%d/stat" % self.proc.pid, encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def freeze(self):
        """SIGSTOP, and until the last thread has obeyed: they do so one after the other."""
        def states():
            tasks = "/proc/%d/task" % self.proc.pid
            for t in os.listdir(tasks):
                with open(os.path.join(tasks, t, "stat"), encoding="ascii", errors="replace") as f:
                    yield f.read().rsplit(")", 1)[1].split()[0]
        self.proc.send_signal(signal.SIGSTOP)
        self.wait_for(lambda: set(states()) == {"T"})

    def stop(self, sig=signal.SIGTERM, seconds=PATIENCE):
        self.proc.send_signal(sig)
        return self.proc.wait(seconds)


def pcap_port(path, more=""):
    return '{device: "net_pcap0,rx_pcap=%s%s", name: capture}' % (path, more)
