#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the operator says, from the configuration to events and findings: pins, own inspection CAs, keys on first use, rules,
host lists. Over the demo, of which some connections are direct and some go through inspecting proxies (its labels).

    policy_test.py PINSIGHT DEMO.pcap DEMO.labels.jsonl

Certificates are taken out of the capture as bytes; hashes of their keys are openssl's.
"""
import base64
import collections
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile

PINSIGHT, DEMO, LABELS = sys.argv[1:4]
OWN_CA = 'Example Office Inspection CA'


def read(*args, status=0):
    p = subprocess.run([PINSIGHT, 'read', '--json', '--all', *args, DEMO], capture_output=True, text=True, timeout=240)
    assert p.returncode == status, (args, p.stderr)
    return [json.loads(x) for x in p.stdout.splitlines()], p.stderr


def flows(events, host=None):
    return [e for e in events if e['event_type'] == 'tls_flow' and (host is None or e['tls'].get('sni') == host)]


def findings(events, *classes):
    return [e for e in events if e['event_type'] == 'finding' and (not classes or e['class'] in classes)]


def openssl(args, data):
    return subprocess.run(['openssl', *args], input=data, stdout=subprocess.PIPE, check=True).stdout


def certificates():
    """every certificate in the capture: subject and issuer (openssl's words), SHA-256 of its key -> DER"""
    raw, found = open(DEMO, 'rb').read(), {}
    for m in re.finditer(rb'\x30\x82(..)\x30\x82', raw, re.S):
        der = raw[m.start():m.start() + 4 + int.from_bytes(m.group(1), 'big')]
        if hashlib.sha256(der).digest() in found or len(der) < 300:
            continue
        p = subprocess.run(['openssl', 'x509', '-inform', 'DER', '-noout', '-subject', '-issuer', '-nameopt', 'RFC2253'],
                           input=der, capture_output=True)
        if p.returncode == 0:
            key = openssl(['pkey', '-pubin', '-outform', 'DER'], openssl(['x509', '-inform', 'DER', '-noout', '-pubkey'], der))
            found[hashlib.sha256(der).digest()] = (p.stdout.decode(), base64.b64encode(hashlib.sha256(key).digest()).decode(), der)
    return list(found.values())


CERTS = certificates()
HOST = 'api.bank.example'
genuine, = {k for text, k, _ in CERTS if 'subject=CN=' + HOST in text and OWN_CA not in text}
ca_key, = {k for text, k, _ in CERTS if re.search('subject=.*CN=Example Issuing CA', text)}
own_ca = [der for text, _, der in CERTS if re.search('subject=.*' + OWN_CA, text)]
assert own_ca, 'the demo shows the inspection CA'
alone = ['--set', 'correlation.enabled=false']  # what one flow and the operator's knowledge say
plain = flows(read(*alone)[0], HOST)
shown = [e for e in plain if 'chain' in e['tls']]
direct = {e['flow_id'] for e in shown if OWN_CA not in e['tls']['issuerdn']}
inspected = {e['flow_id'] for e in shown} - direct
refused = {e['flow_id'] for e in plain if e['verdict']['class'] not in ('normal',)}
assert len(direct) >= 2 and len(inspected) >= 2 and refused & inspected and not refused & direct

with tempfile.TemporaryDirectory() as tmp:
    def config(text, name='p.yaml'):
        path = os.path.join(tmp, name)
        with open(path, 'w') as f:
            f.write(text)
        return ['--config', path]

    with open(os.path.join(tmp, 'own.pem'), 'w') as f:
        for der in own_ca:
            f.write(openssl(['x509', '-inform', 'DER'], der).decode())

    # A pinset: direct connections match at the leaf, inspected ones do not; a refusal of those is proof of pinning.
    pins = 'pins:\n  - name: bank\n    hosts: [%s]\n    %s: [%s]\n'
    e = read(*alone, *config(pins % (HOST, 'spki_sha256', genuine)))[0]
    for f in flows(e):
        if f['tls'].get('sni') != HOST:
            assert 'pins' not in f, f
        elif f['flow_id'] in direct:
            assert f['pins'] == {'set': 'bank', 'result': 'match', 'matched': 0}, f['pins']
        elif f['flow_id'] in inspected:
            assert f['pins'] == {'set': 'bank', 'result': 'mismatch'}, f['pins']
            if f['flow_id'] in refused:
                assert f['verdict']['class'] == 'pinned' and 'pinset_mismatch' in f['verdict']['evidence'], f['verdict']
        else:
            assert f['pins']['result'] == 'not_visible', f['pins']
    # Whoever issued that is neither known to us nor a trusted root: told once, however many flows show it.
    got = findings(e)
    assert [(x['class'], x['subject']['sni'], x['evidence']) for x in got] == [('interception_seen', HOST, ['pinset_mismatch'])], got
    assert OWN_CA in got[0]['subject']['issuer'], got
    # The inspection CA is the operator's own: that it intercepts is no news.
    own = 'interception:\n  ca: [own.pem]\n'
    assert findings(read(*alone, *config(own + pins % (HOST, 'spki_sha256', genuine)))[0]) == []
    # The CA's key, anywhere in the chain; a backup pin in use; a set whose time is over.
    e = read(*alone, *config(pins % ('"*.bank.example"', 'ca_spki_sha256', ca_key)))[0]
    assert {f['pins']['matched'] for f in flows(e, HOST) if f['flow_id'] in direct} == {1}
    other = base64.b64encode(bytes(range(32))).decode()
    e = read(*alone, *config(pins % (HOST, 'spki_sha256', other) + '    backup_spki_sha256: [%s]\n' % genuine))[0]
    assert {f['pins']['result'] for f in flows(e, HOST) if f['flow_id'] in direct} == {'backup_match'}
    assert 'backup_pin_in_use' in {x['class'] for x in findings(e)}
    e = read(*alone, *config(pins % (HOST, 'spki_sha256', other) + '    expires: 2020-01-01\n'))[0]
    assert {f['pins']['result'] for f in flows(e, HOST)} == {'expired'}
    # Its flows count nowhere: no finding of the population speaks of the host.
    before = {x['subject'].get('sni') for x in findings(read()[0], 'host_pinned_for_client')}
    after = {x['subject'].get('sni') for x in findings(
        read(*config(own + pins % (HOST, 'spki_sha256', genuine) + '    action: ignore\n'))[0], 'host_pinned_for_client')}
    assert HOST in before and HOST not in after, (before, after)

    # Keys on first use. Another key is news once; kept across runs; under the own CA it is none.
    store = os.path.join(tmp, 'keys')
    learn = 'pins_learn:\n  enabled: true\n  store: keys\n'
    first = findings(read(*alone, *config(learn))[0])
    by = collections.Counter((x['class'], x['subject']['sni']) for x in first)
    hosts = {f['tls']['sni'] for f in flows(read(*alone)[0])
             if 'chain' in f['tls'] and OWN_CA in f['tls']['issuerdn']}
    assert by and set(by.values()) == {1} and {h for _, h in by} <= hosts, by
    assert {c for c, _ in by} <= {'interception_seen', 'key_changed'}, by
    assert os.path.getsize(store) > 100
    assert findings(read(*alone, *config(learn))[0]) == [], 'every key is known by now'
    os.unlink(store)
    assert findings(read(*alone, *config(own + learn))[0]) == []
    with open(store, 'wb') as f:
        f.write(b'\xff not a store\n')
    assert store in read(*config(learn), status=1)[1]

    # Rules and host lists: tag; weigh; leave out, counted.
    with open(os.path.join(tmp, 'hosts'), 'w') as f:
        f.write('# bank\n*.bank.example\n')
    rules = '''rules:
  - {id: shop, sni: '^WWW\\.shop\\.', issuer: Issuing CA}
  - {id: office, issuer: Inspection, san: shop}
host_lists:
  - {id: banks, file: hosts}
'''
    e = flows(read(*alone, *config(rules))[0])
    for f in e:
        t, want = f['tls'], []
        if t.get('sni') == 'www.shop.example' and 'Issuing CA' in t.get('issuerdn', ''):
            want.append('shop')
        if 'Inspection' in t.get('issuerdn', '') and any('shop' in x for x in t.get('subjectaltname', [])):
            want.append('office')
        if t.get('sni', '').endswith('.bank.example'):
            want.append('banks')
        assert f.get('rules', []) == want, (f['tls'], f.get('rules'), want)
    assert {r for f in e for r in f.get('rules', [])} == {'shop', 'office', 'banks'}
    everything = len(e)
    e = read(*alone, *config(rules.replace('file: hosts', 'file: hosts, action: ignore')))[0]
    ignored = everything - len(flows(e))
    stats, = [x for x in e if x['event_type'] == 'stats']
    assert ignored > 10 and stats['counters']['flow_ignored'] == ignored, (ignored, stats['counters'])
    assert not any(f['tls'].get('sni', '').endswith('.bank.example') for f in flows(e))
    e = read(*config(rules.replace('file: hosts', 'file: hosts, action: weight, weight: 0')))[0]
    assert not any(x['subject'].get('sni', '').endswith('.bank.example') for x in findings(e, 'host_pinned_for_client'))
    assert len(flows(e)) == everything

    # What is wrong is said with its place.
    for text, place in [('rules:\n  - {id: a, sni: "("}\n', ':2:18:'), ('pins:\n  - name: a\n    hosts: [a.example]\n    spki_sha256: [x]\n', ':4:19:'),
                        ('interception:\n  ca: [none.pem]\n', 'none.pem')]:
        said = read(*config(text), status=1)[1]
        assert place in said, (place, said)
with open(LABELS) as f:
    assert len(f.readlines()) == everything, 'one event a label'
print('the operator is heard: %d certificates, %d flows' % (len(CERTS), everything))
