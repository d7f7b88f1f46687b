val pinner = CertificatePinner.Builder().apply {
    add(hostname, PIN, "sha256/PiPoFgA5WUoziU9lZOGxNIu9egCI1CxKy3PurtWcAJ0=")
    add("""raw.example""", "sha256/Ln0sA6lQeuJl7PW1NWiFpTOTogKdJBOUmXJloaJa78Y=")
}.build()
private const val PIN = "sha256/ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs="
val hostname: String = "kt.example"
