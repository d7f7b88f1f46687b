// SPDX-License-Identifier: BSD-3-Clause
// An HTTPS client on Node: client.js HOST CAFILE none|after SPKI CERT. Node checks certificate and pin after the handshake.
'use strict';
const https = require('https'), fs = require('fs'), crypto = require('crypto'), tls = require('tls');
const [host, ca, mode, , cert] = process.argv.slice(2);
const options = { host, ca: fs.readFileSync(ca), agent: false };
if (mode === 'after')
	options.checkServerIdentity = (name, c) => tls.checkServerIdentity(name, c) ||
		(crypto.createHash('sha256').update(c.raw).digest('hex') === cert ? undefined : new Error('pin'));
https.get(options, (r) => r.pipe(process.stdout)).on('error', (e) => {
	console.log(e.message);
	process.exit(1);
});
