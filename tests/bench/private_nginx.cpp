#include "tests/bench/private_nginx.hpp"

#include "tests/integration/harness/eventually.hpp"
#include "tests/integration/harness/raw_client.hpp"

#include <csignal>
#include <cstdio>
#include <sstream>
#include <stdexcept>
#include <unistd.h>

namespace dlhandoff::bench {
namespace {

constexpr const char* program = "/usr/sbin/nginx";

} // namespace

bool private_nginx::installed() {
    return ::access(program, X_OK) == 0;
}

private_nginx::private_nginx(const test::temporary_directory& directory, const std::string& address,
                             const std::string& workers) {
    using namespace std::chrono_literals;
    const std::string root = directory.path().string();
    std::ostringstream out;
    out << "daemon off;\nworker_processes " << workers << ";\npid " << root << "/run/nginx.pid;\nerror_log "
        << root << "/logs/nginx.log;\n";
    if (::geteuid() == 0) {
        const test::account children = test::httpd_account();
        out << "user " << children.user_name << ' ' << children.group_name << ";\n";
    }
    out << "events { worker_connections 4096; }\nhttp {\naccess_log off;\nsendfile on;\ntcp_nopush on;\n";
    for (const char* const kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
        out << kind << "_temp_path " << root << "/run/nginx_" << kind << ";\n";
    out << "server {\nlisten " << address << ':' << port() << " ssl;\nssl_certificate " << root
        << "/certificate.pem;\nssl_certificate_key " << root
        << "/key.pem;\nssl_protocols TLSv1.3;\nssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;\nroot "
        << root << "/htdocs;\n}\n}\n";
    const std::string configuration = directory / "nginx.conf";
    test::write_file(configuration, out.str());
    program_ = std::make_unique<test::child_process>(test::child_process::options{
        .command = {program, "-c", configuration, "-e", root + "/logs/nginx.log"},
        .output = directory / "logs/nginx_console.log",
        .run_as = {},
        .descriptors = {}});
    const bool answers = test::eventually(
        [&] {
            try {
                test::raw_client(address, port()).close();
                return true;
            } catch (const std::exception&) {
                return !program_->running();
            }
        },
        10s);
    if (!answers || !program_->running())
        throw std::runtime_error("nginx does not answer: " + test::read_file(directory / "logs/nginx.log"));
}

private_nginx::~private_nginx() {
    using namespace std::chrono_literals;
    program_->signal(SIGTERM);
    if (!program_->wait_for_exit(10s))
        std::fprintf(stderr, "nginx did not stop within 10 s of SIGTERM\n");
}

} // namespace dlhandoff::bench
