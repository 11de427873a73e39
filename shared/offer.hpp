#pragma once

#include "shared/file_identity.hpp"
#include "shared/refusal.hpp"
#include "shared/ticket.hpp"
#include "shared/tls_session.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

namespace dlhandoff {

/// The most bytes of an offer on the wire; it fits SO_SNDBUF's default.
inline constexpr std::size_t max_offer_size = 128 * 1024;
/// The most bytes of a response plan that are not in files: head, multipart boundaries, small bodies.
inline constexpr std::size_t max_plan_memory = 64 * 1024;
inline constexpr std::size_t max_plan_pieces = 1024;
inline constexpr std::size_t max_plan_files = 64;

/// One stretch of a response, in the order in which it is sent.
struct plan_piece {
    enum class source : std::uint32_t { memory = 0, file = 1 };
    source from = source::memory;
    std::uint32_t file = 0;   ///< which of the offer's files; 0 for memory
    std::uint64_t offset = 0; ///< in the file, or in the offer's memory
    std::uint64_t length = 0; ///< bytes, never 0
    friend bool operator==(const plan_piece&, const plan_piece&) = default;
};

/// What the transfer log says about the request, and whom limits count it against. Text is as httpd has it:
/// bytes, usually UTF-8.
struct request_facts {
    std::string_view client;     ///< the client's address, as %a
    std::string_view client_key; ///< whom limits count against
    std::string_view user;       ///< empty if the client did not authenticate
    std::string_view vhost;
    std::string_view method;
    std::string_view uri;            ///< path and query, as in the request line
    std::string_view range;          ///< the Range field's value, empty without
    std::string_view tag;            ///< DLHandoffTag's value, empty without
    std::string_view transfer_class; ///< the class of limits; empty: "default"
    std::uint16_t status = 200;
    friend bool operator==(const request_facts&, const request_facts&) = default;
};

/// How fast one response may be sent, as httpd's administrator has set it.
struct pace {
    std::uint64_t rate = 0;  ///< bytes a second; 0: no bound
    std::uint64_t after = 0; ///< bytes that go first, unbounded; 0 if there is no rate
    friend bool operator==(const pace&, const pace&) = default;
};

/// Which difference from the offer counts as a change of the file and ends its download. A file that got
/// shorter has always changed; one that grew never has.
enum class file_check : std::uint16_t {
    size = 0, ///< nothing else counts
    mtime = 1 ///< a different mtime counts too, if the size is the same
};

/// How a response's files are read, as httpd's administrator has set it.
struct reading_terms {
    file_check check = file_check::size;
    bool use_sendfile = true; ///< false: do not trust sendfile(2) with them (EnableSendfile Off)
    friend bool operator==(const reading_terms&, const reading_terms&) = default;
};

/// How a connection goes on after the response: it returns to httpd with its next request, or it ends.
struct return_terms {
    std::string_view path; ///< httpd's return socket (wire.hpp: return_message); empty: the connection ends
    std::uint32_t keep_alive_ms =
        0; ///< how long the client may take to send its next request; 0 if the path is empty
    std::uint32_t requests = 0; ///< that httpd has taken on this connection, this one included
    friend bool operator==(const return_terms&, const return_terms&) = default;
};

/// A response plan and its request's facts: what a worker offers, and what a transfer is made from.
/// Immutable, except that its ticket can be set and its keys can be wiped. It is kept as the bytes that go
/// over the wire, in one allocation, so a waiting download costs little and can be described to another
/// manager at any time.
///
/// Descriptors are not part of it. They travel beside it: the client's socket first, then the files in order.
class offer {
  public:
    offer(offer&&) noexcept = default;
    offer& operator=(offer&& other) noexcept;
    ~offer() { forget_secrets(); }

    /// Puts an offer together. `memory` holds what the plan's memory pieces point into; `tls` holds the
    /// connection's keys, null for plain TCP. Only a plain connection may have a path in `back`. A refusal if
    /// the offer exceeds the bounds above: then httpd serves.
    [[nodiscard]] static std::variant<offer, refusal>
    make(const request_facts& facts, std::span<const file_identity> files, std::span<const plan_piece> pieces,
         std::span<const std::byte> memory, const tls_session* tls = nullptr, const return_terms& back = {},
         const pace& speed = {}, const reading_terms& reading = {});

    /// Checks a whole message from outside: afterwards every accessor is safe.
    [[nodiscard]] static std::variant<offer, refusal> decode(std::span<const std::byte> message);

    [[nodiscard]] std::span<const std::byte> message() const noexcept { return {bytes_.get(), size_}; }
    [[nodiscard]] request_facts facts() const noexcept;
    [[nodiscard]] std::span<const file_identity> files() const noexcept;
    [[nodiscard]] std::span<const plan_piece> pieces() const noexcept;
    [[nodiscard]] std::span<const std::byte> memory() const noexcept;
    [[nodiscard]] return_terms returning() const noexcept;
    [[nodiscard]] pace speed() const noexcept;
    [[nodiscard]] reading_terms reading() const noexcept;
    /// The connection's keys; null for plain TCP, and once forget_secrets() was called.
    [[nodiscard]] const tls_session* tls() const noexcept;
    /// Wipes the TLS keys; so does the destructor.
    void forget_secrets() noexcept;

    /// All bytes of the response, head included; and those that come from files.
    [[nodiscard]] std::uint64_t response_bytes() const noexcept;
    [[nodiscard]] std::uint64_t file_bytes() const noexcept;

    [[nodiscard]] ticket claim_ticket() const noexcept;
    void set_ticket(const ticket& value) noexcept;

  private:
    struct fixed;
    offer(std::unique_ptr<std::byte[]> bytes, std::size_t size) noexcept
        : bytes_(std::move(bytes)), size_(size) {}
    [[nodiscard]] const fixed& head() const noexcept;

    std::unique_ptr<std::byte[]> bytes_;
    std::size_t size_;
};

} // namespace dlhandoff
