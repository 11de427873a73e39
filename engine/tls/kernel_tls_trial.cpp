#include "engine/tls/kernel_tls_trial.hpp"

#include "engine/tls/kernel_tls.hpp"
#include "shared/file_descriptor.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <netinet/in.h>
#include <string_view>
#include <sys/socket.h>
#include <sys/time.h>
#include <vector>

namespace dlhandoff::engine {
namespace {

constexpr timeval longest_wait{0, 500'000};

struct connection {
    file_descriptor sender;
    file_descriptor receiver;
};

sockaddr* generic(sockaddr_in& address) noexcept {
    return reinterpret_cast<sockaddr*>(&address);
}

/// Both ends invalid if there is no loopback, or no permission for it.
connection connect_to_ourselves() noexcept {
    const file_descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    connection made{file_descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), {}};
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    for (const int socket : {listener.get(), made.sender.get()}) {
        ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &longest_wait, sizeof longest_wait);
        ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &longest_wait, sizeof longest_wait);
    }
    if (::bind(listener.get(), generic(address), size) != 0 || ::listen(listener.get(), 1) != 0 ||
        ::getsockname(listener.get(), generic(address), &size) != 0 ||
        ::connect(made.sender.get(), generic(address), size) != 0)
        return {};
    made.receiver.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ::setsockopt(made.receiver.get(), SOL_SOCKET, SO_RCVTIMEO, &longest_wait, sizeof longest_wait);
    // Anybody on this machine might have connected first.
    sockaddr_in ours{};
    sockaddr_in theirs{};
    socklen_t our_size = sizeof ours;
    socklen_t their_size = sizeof theirs;
    if (::getsockname(made.sender.get(), generic(ours), &our_size) != 0 ||
        ::getpeername(made.receiver.get(), generic(theirs), &their_size) != 0 ||
        ours.sin_port != theirs.sin_port || ours.sin_addr.s_addr != theirs.sin_addr.s_addr)
        return {};
    return made;
}

/// What record_cipher makes of the same.
class expectation {
  public:
    void add(traffic_key& key, content_type type, std::span<const std::uint8_t> plaintext) {
        const std::size_t begin = bytes_.size();
        bytes_.resize(begin + plaintext.size() + record_overhead(key.suite()));
        const std::span record{bytes_.data() + begin, bytes_.size() - begin};
        std::ranges::copy(plaintext,
                          record.begin() + static_cast<std::ptrdiff_t>(record_prefix(key.suite())));
        cipher_.seal(key, key.sequence++, type, record);
    }
    [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
    /// Whether the same arrives, and nothing more.
    [[nodiscard]] bool arrives(int socket) const {
        std::vector<std::uint8_t> got(bytes_.size());
        return ::recv(socket, got.data(), got.size(), MSG_WAITALL) == static_cast<ssize_t>(got.size()) &&
               got == bytes_ && ::recv(socket, got.data(), 1, MSG_DONTWAIT) < 0;
    }

  private:
    record_cipher cipher_;
    std::vector<std::uint8_t> bytes_;
};

bool send_data(int socket, std::span<const std::uint8_t> data, int flags) noexcept {
    return ::send(socket, data.data(), data.size(), MSG_NOSIGNAL | flags) ==
           static_cast<ssize_t>(data.size());
}

bool passes(const tls_suite& suite) {
    const connection trial = connect_to_ourselves();
    if (!trial.receiver)
        return false;
    std::array<std::uint8_t, 48> secret{};
    for (std::size_t i = 0; i < secret.size(); ++i)
        secret[i] = static_cast<std::uint8_t>(3 * i + 1);
    // A number with more than one byte shows their order.
    traffic_key key(suite, secret, 0x0102030405);
    const int socket = trial.sender.get();
    auto kernel = kernel_tls::start(socket, key);
    if (!kernel)
        return false;
    static constexpr std::array<std::uint8_t, 5> data{'t', 'r', 'i', 'a', 'l'};
    static constexpr std::array<std::uint8_t, 2> alert{1, 90};
    static constexpr std::array<std::uint8_t, 5> key_update{24, 0, 0, 1, 0};
    std::uint64_t sent = data.size();
    expectation expected;
    // An open record that the alert must close.
    if (!send_data(socket, data, MSG_MORE) ||
        kernel->send_record(socket, content_type::alert, alert) != write_step::sent)
        return false;
    expected.add(key, content_type::application_data, data);
    expected.add(key, content_type::alert, alert);
    if (suite.version == tls13) {
        if (kernel->send_record(socket, content_type::handshake, key_update) != write_step::sent)
            return false;
        expected.add(key, content_type::handshake, key_update);
        key.update();
        if (!kernel->change_key(socket, key))
            return false;
        sent += data.size();
        if (!send_data(socket, data, 0))
            return false;
        expected.add(key, content_type::application_data, data);
    }
    return kernel->sequence(socket) == key.sequence && kernel->wire_bytes(socket, sent) == expected.size() &&
           expected.arrives(trial.receiver.get());
}

/// The suite of TLS 1.3 with the same cipher (RFC 8446, B.4).
const tls_suite& tls13_counterpart(const tls_suite& suite) noexcept {
    const bool is_chacha = suite.cipher[0] == 'C';
    return *find_tls_suite(tls13, is_chacha ? 0x1303 : suite.key_size == 16 ? 0x1301 : 0x1302);
}

} // namespace

bool kernel_seals_as_we_do(const tls_suite& suite) noexcept {
    try {
        const bool is_tls13 = suite.version == tls13;
        return passes(suite) && (is_tls13 || passes(tls13_counterpart(suite)));
    } catch (
        const std::exception&) { // no memory, or libcrypto has no such cipher: then user space fails, too
        return false;
    }
}

} // namespace dlhandoff::engine
