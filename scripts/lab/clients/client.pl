# SPDX-License-Identifier: BSD-3-Clause
# An HTTPS client on Perl's IO::Socket::SSL: client.pl HOST CAFILE none|in|after SPKI CERT
use strict;
use warnings;
use IO::Socket::SSL;
use Digest::SHA 'sha256_hex';
use MIME::Base64;

my ($host, $ca, $mode, undef, $cert) = @ARGV;

sub hash_of {
	my $pem = Net::SSLeay::PEM_get_string_X509($_[0]);
	$pem =~ s/-----[A-Z ]+-----|\s//g;
	return sha256_hex(decode_base64($pem));
}

my %more;
$more{SSL_verify_callback} = sub {
	my ($ok, undef, undef, undef, $x, $depth) = @_;
	return $ok && ($depth > 0 || hash_of($x) eq $cert);
} if $mode eq 'in';
my $s = IO::Socket::SSL->new(PeerHost => $host, PeerPort => 443, SSL_hostname => $host, SSL_ca_file => $ca,
	SSL_verify_mode => SSL_VERIFY_PEER, SSL_verifycn_scheme => 'http', SSL_verifycn_name => $host, Timeout => 10, %more)
	or die "$SSL_ERROR\n";
if ($mode eq 'after' && hash_of($s->peer_certificate) ne $cert) {
	$s->close;
	die "pinned certificate does not match\n";
}
print $s "GET / HTTP/1.0\r\nHost: $host\r\n\r\n";
print while <$s>;
$s->close;
