package example;

import okhttp3.CertificatePinner;

/** Not a pin: .add("doc.example", "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=") */
class Net {
	static final String HOST = "a.example", KEY = "sha256/" + "ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=";

	CertificatePinner pinner() {
		List<String> names = new ArrayList<>();
		names.add("no.pin.example");
		// .add("comment.example", "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
		return new CertificatePinner.Builder()
			.add(HOST, KEY)
			.add("www." + Net.HOST, "sha256/PiPoFgA5WUoziU9lZOGxNIu9egCI1CxKy3PurtWcAJ0=")
			.add("*.a.example", "sha256/Ln0sA6lQeuJl7PW1NWiFpTOTogKdJBOUmXJloaJa78Y=", "sha1/2jmj7l5rSw0yVb/vlWAYkK/YBwk=")
			.add("**.tree.example",
				"sha256/GKw+c0PwFokMUQ6T+TUmEWnZ4/VlQ2Qpgw+vCTT0+OQ=")
			.add(config.host(), "sha256/P3m7e0NbBTIWUdrv03TNxoHcBvqmXjdOODN7iMoEbeo=")
			.add("elsewhere.example", config.pin())
			.build();
	}
}
