#pragma once

#include "mod_dlhandoff/decline.hpp"
#include "shared/offer.hpp"

#include <httpd.h>

#include <apr_buckets.h>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace dlhandoff::httpd {

/// Whether the connection goes on after the response.
enum class connection_end : std::uint8_t { keep_alive, close };

/// A whole response, head first, as an offer wants it: pieces of memory and of files. If the connection is to
/// end with it, the head is made to say so (`Connection: close`).
///
/// Made from a brigade, which it leaves as it was; the files' descriptors stay the brigade's. Throws
/// std::bad_alloc.
class response_plan {
  public:
    /// The reason if a manager could not send this response, or its files have fewer bytes than `min_size`.
    [[nodiscard]] static std::variant<response_plan, decline_reason>
    of(apr_bucket_brigade* response, std::uint64_t min_size, connection_end end);

    [[nodiscard]] std::span<const std::byte> memory() const noexcept {
        return std::as_bytes(std::span(memory_));
    }
    [[nodiscard]] std::span<const plan_piece> pieces() const noexcept { return pieces_; }
    [[nodiscard]] std::span<const file_identity> files() const noexcept { return files_; }
    /// Borrowed, in the order of files().
    [[nodiscard]] std::span<const int> descriptors() const noexcept { return descriptors_; }

  private:
    response_plan() = default;
    void add_memory(const char* data, std::size_t size);
    [[nodiscard]] std::variant<std::uint32_t, decline_reason> file_index(int descriptor);
    [[nodiscard]] std::optional<std::string_view> head() const noexcept;
    void close_head(std::string_view head);

    std::string memory_;
    std::vector<plan_piece> pieces_;
    std::vector<file_identity> files_;
    std::vector<int> descriptors_;
};

} // namespace dlhandoff::httpd
