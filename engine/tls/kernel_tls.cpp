#include "engine/tls/kernel_tls.hpp"

#include "engine/tls/kernel_tls_trial.hpp"
#include "shared/secret_value.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <limits>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace dlhandoff::engine {
namespace {

/// TLS_TX's argument, such as tls12_crypto_info_aes_gcm_128: version and cipher, then iv, key, salt and
/// record number, whose lengths depend on the cipher. Wipes itself.
class crypto_info {
  public:
    explicit crypto_info(const tls_suite& suite) noexcept
        : iv_size_(suite.cipher[0] == 'C' ? TLS_CIPHER_CHACHA20_POLY1305_IV_SIZE
                                          : TLS_CIPHER_AES_GCM_128_IV_SIZE),
          key_size_(suite.key_size) {
        const bool is_chacha = suite.cipher[0] == 'C';
        const tls_crypto_info common{
            suite.version, static_cast<std::uint16_t>(is_chacha              ? TLS_CIPHER_CHACHA20_POLY1305
                                                      : suite.key_size == 16 ? TLS_CIPHER_AES_GCM_128
                                                                             : TLS_CIPHER_AES_GCM_256)};
        std::memcpy(bytes_->data(), &common, sizeof common);
    }
    explicit crypto_info(const traffic_key& key) noexcept : crypto_info(key.suite()) {
        // The kernel xors the record number into the nonce itself, but for TLS 1.2 with AES-GCM: there the
        // explicit part (RFC 5288, 3) is a counter of its own, which begins with the record number here.
        const auto nonce = key.nonce(key.suite().fixed_nonce == 4 ? key.sequence : 0);
        std::uint8_t* to = bytes_->data() + sizeof(tls_crypto_info);
        to = std::copy(nonce.begin() + salt_size(), nonce.end(), to);
        to = std::ranges::copy(key.key(), to).out;
        to = std::copy(nonce.begin(), nonce.begin() + salt_size(), to);
        for (int shift = 56; shift >= 0; shift -= 8)
            *to++ = static_cast<std::uint8_t>(key.sequence >> shift);
    }

    [[nodiscard]] bool give_to(int socket) const noexcept {
        return ::setsockopt(socket, SOL_TLS, TLS_TX, bytes_->data(), size()) == 0;
    }
    /// What the socket has now; false if the kernel doesn't tell.
    [[nodiscard]] bool ask(int socket) noexcept {
        socklen_t length = size();
        return ::getsockopt(socket, SOL_TLS, TLS_TX, bytes_->data(), &length) == 0 && length == size();
    }
    [[nodiscard]] std::uint64_t sequence() const noexcept {
        std::uint64_t number = 0;
        for (std::size_t i = size() - sequence_size; i < size(); ++i)
            number = number << 8 | (*bytes_)[i];
        return number;
    }

  private:
    static constexpr std::uint8_t sequence_size = 8;
    [[nodiscard]] std::uint8_t salt_size() const noexcept { return static_cast<std::uint8_t>(12 - iv_size_); }
    [[nodiscard]] socklen_t size() const noexcept {
        return static_cast<socklen_t>(sizeof(tls_crypto_info)) + iv_size_ + key_size_ + salt_size() +
               sequence_size;
    }

    std::uint8_t iv_size_;
    std::uint8_t key_size_;
    secret_value<std::array<std::uint8_t, sizeof(tls12_crypto_info_aes_gcm_256)>> bytes_;
};
static_assert(sizeof(tls12_crypto_info_aes_gcm_128) == 4 + 8 + 16 + 4 + 8);
static_assert(sizeof(tls12_crypto_info_aes_gcm_256) == 4 + 8 + 32 + 4 + 8);
static_assert(sizeof(tls12_crypto_info_chacha20_poly1305) == 4 + 12 + 32 + 0 + 8);

/// sendmsg(2) with the record's type. Without bytes it makes no record, but closes the one that is open.
ssize_t send_typed(int socket, content_type type, std::span<const std::uint8_t> body) noexcept {
    iovec part{const_cast<std::uint8_t*>(body.data()), body.size()};
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(1)> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_TLS;
    header->cmsg_type = TLS_SET_RECORD_TYPE;
    header->cmsg_len = CMSG_LEN(1);
    *CMSG_DATA(header) = static_cast<unsigned char>(type);
    ssize_t taken;
    do {
        taken = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (taken < 0 && errno == EINTR);
    return taken;
}

} // namespace

bool kernel_tls::usable_for(const tls_suite& suite) noexcept {
    enum : std::uint8_t { unknown, no, yes };
    // By version and cipher: ChaCha20, AES-128, AES-256.
    static std::array<std::array<std::atomic<std::uint8_t>, 3>, 2> known{};
    const std::size_t cipher = suite.cipher[0] == 'C' ? 0 : suite.key_size == 16 ? 1 : 2;
    std::atomic<std::uint8_t>& verdict = known[suite.version == tls13 ? 1 : 0][cipher];
    // Two threads may try at the same time: they come to the same verdict.
    if (verdict.load(std::memory_order_relaxed) == unknown)
        verdict.store(kernel_seals_as_we_do(suite) ? yes : no, std::memory_order_relaxed);
    return verdict.load(std::memory_order_relaxed) == yes;
}

std::optional<kernel_tls> kernel_tls::start(int socket, const traffic_key& key) noexcept {
    static constexpr char name[] = "tls";
    // With the protocol alone, and no key, the socket still works as plain TCP: TLS_TX may fail, too.
    if (::setsockopt(socket, IPPROTO_TCP, TCP_ULP, name, sizeof name - 1) != 0 ||
        !crypto_info(key).give_to(socket))
        return std::nullopt;
    return kernel_tls(key.suite(), key.sequence);
}

write_step kernel_tls::send_record(int socket, content_type type,
                                   std::span<const std::uint8_t> body) noexcept {
    // In two calls: were the open record to meet a full socket, the kernel would forget the type, and send
    // what follows as data if there is room again (tls_process_cmsg(), net/tls/tls_main.c). EINPROGRESS: a
    // cryptographic accelerator is at it; the record is closed.
    if (send_typed(socket, type, {}) < 0 && errno != EINPROGRESS)
        return step_of_write_error(errno);
    if (send_typed(socket, type, body) < 0)
        return step_of_write_error(errno);
    other_plaintext_ += body.size();
    return write_step::sent;
}

void kernel_tls::flush(int socket) noexcept {
    const int on = 1; // "forces an explicit flush of pending output" (tcp(7)); httpd has set it already
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool kernel_tls::change_key(int socket, const traffic_key& next) noexcept {
    const auto reached = sequence(socket);
    if (!reached || !crypto_info(next).give_to(socket))
        return false;
    earlier_records_ += *reached - first_;
    first_ = next.sequence;
    return true;
}

std::optional<std::uint64_t> kernel_tls::sequence(int socket) const noexcept {
    crypto_info now(*suite_);
    if (!now.ask(socket))
        return std::nullopt;
    return now.sequence();
}

std::uint64_t kernel_tls::wire_bytes(int socket, std::uint64_t plaintext) const noexcept {
    const auto reached = sequence(socket);
    if (!reached)
        return std::numeric_limits<std::uint64_t>::max();
    const std::uint64_t records = earlier_records_ + (*reached - first_);
    return plaintext + other_plaintext_ + records * record_overhead(*suite_);
}

} // namespace dlhandoff::engine
