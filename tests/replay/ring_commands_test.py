#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""pinsight events, stats and top over rings whose events are encoded here, by the layout of psi_event.h.

    ring_commands_test.py ROOT EVENT2JSON EVENTS2RING PINSIGHT
"""
import json
import os
import pty
import signal
import subprocess
import sys
import tempfile

TO_RING, PINSIGHT = sys.argv[3:5]
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import test_events as twin  # noqa: E402  (takes ROOT and EVENT2JSON from the command line)

T0 = 1795334400 * 10**9  # 2026-11-22T08:00:00Z, by date(1)


def event(kind, seq, **fields):
    return twin.event_bytes(None, kind, fields, seq, T0 + seq * 10**9, 0)


def run(*args, status=0):
    p = subprocess.run([PINSIGHT, *args], capture_output=True, text=True, timeout=240)
    assert p.returncode == status, (args, p.returncode, p.stdout, p.stderr)
    return p


def seqs(*args):
    return [json.loads(x)['seq'] for x in run('events', '--dump', '--json', '--ring=' + RING, *args).stdout.splitlines()]


def fill(data):
    subprocess.run([TO_RING, RING], input=data, check=True)


with tempfile.TemporaryDirectory() as tmp:
    RING = os.path.join(tmp, 'ring')

    # No ring: what to do is said; --wait waits for one.
    p = run('events', '--ring=' + RING, status=1)
    assert RING in p.stderr and 'pinsight run' in p.stderr and '--wait' in p.stderr, p.stderr
    p = run('stats', '--ring=' + RING, status=1)
    assert RING in p.stderr and 'pinsight run' in p.stderr, p.stderr
    waiting = subprocess.Popen([PINSIGHT, 'events', '--wait', '--json', '--count=2', '--ring=' + RING],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert 'waiting for' in waiting.stderr.readline()

    flows = [
        event('tls_flow', 1, TLS_SNI=b'a.example', SRC_IP=bytes([10, 0, 0, 1]), CLASS=2, CONFIDENCE=0.97, REASON=b'Because.'),
        event('tls_flow', 2, TLS_SNI=b'b.a.example', SRC_IP=bytes([10, 0, 0, 2]), CLASS=1),
        event('tls_handshake', 3, TLS_SNI=b'a.example', SRC_IP=bytes([10, 0, 0, 1]), CLASS=2),
        event('finding', 4, FINDING_SNI=b'a.example', FINDING_CLIENT=bytes([10, 0, 0, 1]), FINDING_CLASS=b'host_pinned_for_client',
              FINDING_CONFIDENCE=0.98, FINDING_FAILED=3, FINDING_REASON=b'Others get through.'),
        event('tls_flow', 5, TLS_SNI=b'c.example', SRC_IP=bytes(15) + b'\1', CLASS=3),
    ]
    fill(b''.join(flows))
    out, err = waiting.communicate(timeout=240)
    assert [json.loads(x)['seq'] for x in out.splitlines()] == [1, 2], out
    assert waiting.returncode == 0

    # Every filter, by itself and together.
    assert seqs() == [1, 2, 4, 5]
    assert seqs('--type=tls_handshake,tls_flow') == [1, 2, 3, 5]
    assert seqs('--verdict=pinned') == [1, 4]
    assert seqs('--verdict=refused') == [1, 4, 5]
    assert seqs('--host=a.example') == [1, 4]
    assert seqs('--host=.a.example') == [1, 2, 4]
    assert seqs('--client=10.0.0.0/30') == [1, 2, 4]
    assert seqs('--client=::1') == [5]
    assert seqs('--since=2026-11-22T08:00:04Z') == seqs('--since=2026-11-22T09:00:04+01:00') == [4, 5]
    assert seqs('--since=2026-11-22') == [1, 2, 4, 5] and seqs('--since=2026-11-23') == []
    assert seqs('--verdict=failed', '--type=tls_flow', '--client=10.0.0.1') == [1]
    assert seqs('--count=1') == [1]
    # As JSON an event is what the writer's own test holds it to be.
    assert run('events', '--dump', '--json', '--ring=' + RING).stdout.splitlines() == twin.run([flows[0], flows[1], flows[3], flows[4]])
    text = run('events', '--dump', '--ring=' + RING).stdout.splitlines()
    assert text[0].split() == ['2026-11-22T08:00:01.000', 'pinned', '97%', '10.0.0.1', 'a.example', 'Because.'], text[0]
    assert '\033' not in ''.join(text)

    # Following goes on when the engine is started again; a hole in the numbers is told, and counted.
    p = subprocess.Popen([PINSIGHT, 'events', '--json', '--ring=' + RING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for want in [1, 2, 4, 5]:
        assert json.loads(p.stdout.readline())['seq'] == want
    assert 'has stopped' in p.stderr.readline()
    fill(event('tls_flow', 1, CLASS=1) + event('tls_flow', 9, CLASS=1))
    got = [json.loads(p.stdout.readline()) for _ in range(3)]
    assert [x['event_type'] for x in got] == ['tls_flow', 'gap', 'tls_flow'] and got[1]['lost'] == 7, got
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=240)
    assert p.returncode == 0 and '7 events were missed' in err, (p.returncode, err)

    # The ledger: of the newest stats event, whatever comes behind it.
    fill(event('stats', 1, STATS_FLOWS_ALIVE=0, STATS_LOST_PKTS=0, STATS_LOST_FLOWS=0, STATS_LOST_RECS=0,
               STATS_COUNTERS=[(b'rec_taken', 1)]) +
         event('stats', 2, STATS_FLOWS_ALIVE=5, STATS_LOST_PKTS=0, STATS_LOST_FLOWS=-5, STATS_LOST_RECS=0,
               STATS_COUNTERS=[(b'event_out', 1234567), (b'a_counter_of_tomorrow', 4)]) +
         event('tls_flow', 3, CLASS=1))
    p = run('stats', '--ring=' + RING, status=1)  # 5 flows alive that nobody opened: not balanced
    assert 'As of 2026-11-22 08:00:02 UTC' in p.stdout and '1,234,567' in p.stdout and 'NOT BALANCED' in p.stdout, p.stdout
    assert json.loads(run('stats', '--json', '--ring=' + RING).stdout)['seq'] == 2
    fill(event('tls_flow', 1, CLASS=1))
    assert 'no stats event, and its engine has stopped' in run('stats', '--ring=' + RING, status=1).stderr

    # The picture: 24 lines of at most 80 columns; hosts by refusals, names made harmless; rates as the engine tells them.
    worker = {'WORKER_ID': 0, 'WORKER_LCORE': 1, 'WORKER_LOAD': 0.5, 'WORKER_QUEUE': 25, 'WORKER_QUEUE_MAX': 100,
              'WORKER_RATES': [(b'pkt_rx', 1234567), (b'pkt_rx_bytes', 10**9), (b'pkt_drop_depth', 3)]}
    busy = [event('tls_flow', i, TLS_SNI=b'app.example', SRC_IP=bytes([10, 0, 0, 1]), CLASS=2) for i in (1, 2, 3)]
    busy += [event('tls_flow', 4, DEST_IP=bytes([192, 0, 2, 9]), CLASS=3), event('tls_flow', 5, TLS_SNI=b'\x1b[31mx', CLASS=3),
             event('tls_flow', 6, TLS_SNI=b'fine.example', CLASS=1),
             event('finding', 7, FINDING_SNI=b'app.example', FINDING_CLIENT=bytes([10, 0, 0, 1]), FINDING_CLASS=b'host_pinned_for_client',
                   FINDING_CONFIDENCE=0.98),
             event('stats', 8, STATS_FLOWS_ALIVE=42, STATS_LOST_PKTS=0, STATS_LOST_FLOWS=0, STATS_LOST_RECS=0,
                   STATS_COUNTERS=[(b'pkt_rx', 10**9)], STATS_RATES=[(b'pkt_rx', 1234567), (b'pkt_rx_bytes', 10**9)], STATS_WORKERS=[worker])]
    fill(b''.join(busy))
    text = run('top', '--once', '--ring=' + RING).stdout
    lines = text.split('\n')[:-1]
    assert len(lines) == 23 and max(map(len, lines)) <= 80 and '\033' not in text, text
    assert '1.23M packets/s' in lines[1] and '8.00G bit/s' in lines[1] and '42 alive' in lines[1], lines[1]
    assert 'ledger balanced' in lines[2] and 'engine stopped' in lines[0], text
    assert lines[5].split() == ['0', '1', '50%', '1.23M', '8.00G', '0', '3', '25%'], lines[5]
    verdicts = {x[:24].strip(): x[24:41].split() for x in lines if x[:6] in ('pinned', 'unknow', 'normal')}
    assert verdicts == {'normal': ['1', '1'], 'pinned': ['3', '3'], 'unknown_ca': ['2', '2']}, verdicts
    hosts = [x[44:].split() for x in lines[8:11]]
    assert hosts == [['app.example', '3'], ['192.0.2.9', '1'], ['\\x1B[31mx', '1']], hosts
    assert any(x.split() == ['host_pinned_for_client', '98%', '10.0.0.1', 'app.example'] for x in lines), text
    assert '--once prints one picture' in run('top', '--ring=' + RING, status=2).stderr  # no terminal

    # In a terminal: it paints, explains itself and leaves when told.
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(TERM='xterm', LINES='24', COLUMNS='80')
        os.execv(PINSIGHT, [PINSIGHT, 'top', '--refresh=100', '--ring=' + RING])
    seen = b''
    for key, want in [(b'h', b'app.example'), (b'x', b'What the columns mean'), (b'q', b'engine stopped')]:
        while want not in seen:
            seen += os.read(fd, 65536)
        seen = b''
        os.write(fd, key)
    try:
        while os.read(fd, 65536):
            pass
    except OSError:
        pass  # the terminal is gone with the program
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

    # Called wrongly, or with what is no ring.
    for args, said in [(['events', '--verdict=pin'], "no verdict 'pin'"), (['events', '--client=x'], '10.0.0.0/8'),
                       (['events', '--type=flow'], 'tls_handshake'), (['events', '--since=yesterday'], '90s'),
                       (['events', '--host='], '.a.example'), (['events', '--count=0'], 'from 1'), (['events', 'x.pcap'], 'pinsight read'),
                       (['events', '--jsn'], "'--jsn'"), (['stats', '--wait=x'], '--wait'), (['stats', 'x'], "'x'"),
                       (['top', '--refresh=1'], 'from 100'), (['top', 'x'], "'x'")]:
        p = run(*args, status=2)
        assert said in p.stderr and '--help' in p.stderr, (args, p.stderr)
    with open(RING, 'wb') as f:
        f.write(b'not a ring' * 1000)
    assert RING in run('events', '--ring=' + RING, status=1).stderr
    for c in ('events', 'stats', 'top'):
        assert run(c, '--help').stdout.startswith('usage: pinsight ' + c)
print('pinsight events, stats and top say what the rings hold')
