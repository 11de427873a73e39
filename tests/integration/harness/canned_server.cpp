#include "tests/integration/harness/canned_server.hpp"

#include "shared/unix_address.hpp"
#include "tests/integration/harness/raw_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/stat.h>

namespace dlhandoff::test {

canned_server::canned_server(const std::string& address, std::string response)
    : response_(std::move(response)) {
    address.starts_with('/') ? listen_at_path(address) : listen_at_address(address);
    if (::listen(listener_.get(), 16) < 0)
        throw_errno("listen(canned server)");
    thread_ = std::thread([this] { serve(); });
}

void canned_server::listen_at_address(const std::string& address) {
    listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in local{};
    local.sin_family = AF_INET;
    socklen_t size = sizeof local;
    if (!listener_ || ::inet_pton(AF_INET, address.c_str(), &local.sin_addr) != 1 ||
        ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local) < 0 ||
        ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&local), &size) < 0)
        throw_errno("bind(canned server)");
    port_ = ntohs(local.sin_port);
}

void canned_server::listen_at_path(const std::string& path) {
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!listener_ || !unix_address::of(path).value().bind(listener_.get()) ||
        ::chmod(path.c_str(), 0666) < 0)
        throw_errno("bind(canned server)");
}

canned_server::~canned_server() {
    // Ends accept(2) on the thread.
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
}

void canned_server::serve() {
    for (;;) {
        file_descriptor accepted(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!accepted)
            return;
        try {
            raw_client client(std::move(accepted));
            const std::string head = client.read_head(5s);
            const std::string length = field_of(head, "Content-Length");
            if (!length.empty())
                (void)client.read(std::stoul(length), 5s);
            client.send(response_);
            client.half_close();
            (void)client.ends(5s);
        } catch (const std::exception&) {
            // That client has no response: it says so itself.
        }
    }
}

} // namespace dlhandoff::test
