#include "tests/integration/harness/tls_suites.hpp"

#include "tests/integration/harness/private_httpd.hpp"

#include <sstream>

namespace dlhandoff::test {

std::string suite_hosts(const std::string& directives) {
    std::ostringstream out;
    out << load_modules({"socache_shmcb", "ssl"});
    for (std::size_t i = 0; i < tls_suites.size(); ++i) {
        const tls_suite_choice& one = tls_suites[i];
        out << "Listen ${ADDRESS}:" << suite_port(i) << "\n<VirtualHost *:" << suite_port(i)
            << ">\nServerName main.test\nSSLEngine On\nSSLCertificateFile \"${ROOT}/certificate.pem\"\n"
               "SSLCertificateKeyFile \"${ROOT}/key.pem\"\n"
            << (one.tls13 ? "SSLProtocol TLSv1.3\nSSLCipherSuite TLSv1.3 "
                          : "SSLProtocol TLSv1.2\nSSLCipherSuite ")
            << one.openssl_name << '\n'
            << directives << "</VirtualHost>\n";
    }
    return out.str();
}

} // namespace dlhandoff::test
