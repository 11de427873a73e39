#pragma once

#include "shared/file_descriptor.hpp"
#include "shared/offer.hpp"

#include <cstdint>
#include <string_view>

namespace dlhandoff::bench {

/// A file without a name, all in the page cache, of bytes that are not zero. On a disk (/var/tmp), since for
/// a file in memory an engine has less to ask.
class sample {
  public:
    explicit sample(std::uint64_t size);
    [[nodiscard]] int descriptor() const noexcept { return file_.get(); }
    [[nodiscard]] const file_identity& identity() const noexcept { return identity_; }
    [[nodiscard]] std::uint64_t size() const noexcept { return identity_.size; }

  private:
    file_descriptor file_;
    file_identity identity_;
};

/// A response head of the length that httpd's usually have.
extern const std::string_view typical_head;

/// What httpd would offer for a GET of the file: a head, then the file `times` over (as a multi-range
/// response may have it, so that a small file makes a long download); `tls`: the connection's keys, null for
/// plain TCP.
[[nodiscard]] offer typical_offer(const file_identity& file, std::uint64_t times = 1,
                                  const tls_session* tls = nullptr);

/// Keys of a connection without a handshake, for clients that don't decrypt: TLS 1.3, AES-256-GCM.
[[nodiscard]] tls_session made_up_session();

} // namespace dlhandoff::bench
