// SPDX-License-Identifier: BSD-3-Clause
// An HTTPS client on Node: client.js HOST[,HOST] CAFILE none|after SPKI CERT. It checks certificate and pin after the handshake.
'use strict';
const https = require('https'), fs = require('fs'), crypto = require('crypto'), tls = require('tls');
const [hosts, ca, mode, , cert] = process.argv.slice(2);
const options = { ca: fs.readFileSync(ca), agent: false };
if (mode === 'after')
	options.checkServerIdentity = (name, c) => tls.checkServerIdentity(name, c) ||
		(crypto.createHash('sha256').update(c.raw).digest('hex') === cert ? undefined : new Error('pin'));
function next(list) {
	if (list.length === 0)
		return;
	https.get({ ...options, host: list[0] }, (r) => {
		r.pipe(process.stdout, { end: false });
		r.on('end', () => next(list.slice(1)));
	}).on('error', (e) => {
		console.log(e.message);
		process.exitCode = 1;
		next(list.slice(1));
	});
}
next(hosts.split(','));
