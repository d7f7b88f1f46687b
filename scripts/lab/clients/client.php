<?php
// SPDX-License-Identifier: BSD-3-Clause
// An HTTPS client on PHP's streams: client.php HOST CAFILE none|after SPKI CERT
[, $host, $ca, $mode, , $cert] = $argv;
$ssl = ['cafile' => $ca, 'verify_peer' => true, 'verify_peer_name' => true];
if ($mode == 'after')
	$ssl['peer_fingerprint'] = ['sha256' => $cert];
$body = @file_get_contents("https://$host/", false, stream_context_create(['ssl' => $ssl, 'http' => ['timeout' => 10]]));
if ($body === false) {
	echo error_get_last()['message'], "\n";
	exit(1);
}
echo $body;
