# SPDX-License-Identifier: BSD-3-Clause
# An HTTPS client on Ruby's OpenSSL: client.rb HOST CAFILE none|in SPKI CERT. The pin is checked in the verify callback.
require 'net/http'
require 'openssl'

host, ca, mode, _, cert = ARGV
http = Net::HTTP.new(host, 443)
http.use_ssl = true
http.ca_file = ca
http.max_retries = 0
if mode == 'in'
  http.verify_callback = lambda do |ok, store|
    return ok unless ok && store.error_depth.zero?
    OpenSSL::Digest::SHA256.hexdigest(store.current_cert.to_der) == cert
  end
end
puts http.get('/').body
