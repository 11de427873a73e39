#pragma once

#include "engine/tls/kernel_tls.hpp"
#include "engine/tls/tls_record.hpp"
#include "engine/tls/traffic_key.hpp"
#include "shared/tls_session.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace dlhandoff::engine {

/// Where one thread seals and opens the records of all its connections.
struct tls_workplace {
    /// Records sealed and sent with one system call at most.
    static constexpr std::size_t batch = 16;

    tls_workplace();
    record_cipher sealing;
    record_cipher opening;
    std::vector<std::uint8_t> records; ///< room for a batch to the client, or one record from it
};

/// The TLS records of one connection, after its handshake: what is sealed next, how much of it the kernel
/// has, and what the client said.
///
/// Nothing sealed is kept. When the socket takes half a record, the same record is sealed again later (same
/// key, same number, same bytes) and its second half sent. The 16 bytes of the half-sent record's tag are
/// kept, and compared: a nonce never protects other bytes, whatever happens to the file.
///
/// The connection's sending side, record by record: control records (KeyUpdate, alerts) go between data
/// records.
///
/// Or the kernel seals (start_kernel()): then data go to the socket as they are, no batch is made, and only
/// control records come from here.
class tls_channel {
  public:
    /// Throws std::runtime_error if the suite is unknown or libcrypto fails.
    explicit tls_channel(const tls_session& session);

    /// In secret_memory().
    static void* operator new(std::size_t size);
    static void operator delete(void* channel, std::size_t size) noexcept;

    /// A batch in the making: sealed records of the data that follows `position`.
    class batch {
      public:
        batch(tls_channel& channel, tls_workplace& place) noexcept : channel_(channel), place_(place) {}

        /// Begins the batch with a waiting control record, if there is one. First of all.
        void add_control();
        /// A data record: where its `size` (1 to max_record_plaintext) bytes of plaintext go before seal();
        /// empty if the batch is full.
        /// The first one after half_sent() must be of that size.
        [[nodiscard]] std::span<std::uint8_t> plaintext(std::size_t size) noexcept;
        /// Takes the last plaintext() back: there is nothing to put there.
        void withdraw() noexcept;
        /// Seals what was put there, and a waiting control record if this is its place. False: it is not what
        /// it was when half of its record was sent; the connection must end and nothing more be sent.
        [[nodiscard]] bool seal();

        /// What the kernel is to be given now.
        [[nodiscard]] std::span<const std::uint8_t> unsent() const noexcept;
        /// The kernel took so many bytes of unsent(): the plaintext of the data records that are now wholly
        /// sent.
        [[nodiscard]] std::size_t sent(std::size_t bytes);

      private:
        std::span<std::uint8_t> add_record(content_type type, std::size_t plaintext_size) noexcept;
        [[nodiscard]] bool seal_records();
        [[nodiscard]] std::size_t end_of(std::size_t records) const noexcept {
            return records == 0 ? 0 : records_[records - 1].end;
        }
        struct record {
            std::size_t end;
            std::size_t plaintext;
            content_type type;
            [[nodiscard]] bool is_control() const noexcept { return type != content_type::application_data; }
        };
        tls_channel& channel_;
        tls_workplace& place_;
        std::array<record, tls_workplace::batch> records_{};
        std::size_t count_ = 0;
        std::size_t sealed_ = 0; ///< of them, the first so many
    };

    /// Has the kernel seal what is sent on this socket from here on, if it can be trusted with that. Before
    /// the first batch; false: nothing has changed, and records are sealed here. Throws std::runtime_error if
    /// libcrypto fails.
    bool start_kernel(int socket);
    [[nodiscard]] bool in_kernel() const noexcept { return kernel_.has_value(); }
    /// Where the kernel seals: asks for a new key if the present one could reach its limit within so many
    /// more records.
    void watch_key(int socket, std::uint64_t records) noexcept;
    /// Where the kernel seals: sends the control records that wait. Throws std::runtime_error if libcrypto
    /// fails.
    [[nodiscard]] kernel_tls::result send_control(int socket);

    /// Sends close_notify after the data: nothing can follow it.
    void close() noexcept { close_wanted_ = true; }
    /// Whether everything that was begun is with the kernel.
    [[nodiscard]] bool all_sent() const noexcept { return !control_waits() && partial_ == 0; }
    /// Plaintext bytes of the data record that is half sent: the next record has as many. 0: none is.
    [[nodiscard]] std::size_t half_sent() const noexcept {
        return data_is_half_sent() ? partial_plaintext_ : 0;
    }
    [[nodiscard]] bool control_waits() const noexcept {
        return control_ != control::none ||
               (!closed_ && (update_wanted_ || refusal_wanted_ || close_wanted_));
    }

    enum class heard : std::uint8_t {
        nothing_new, ///< all that has arrived is dealt with
        closed,      ///< close_notify or the end of file: the client sends nothing more
        gone,        ///< a fatal alert, or a reset
        failed       ///< what no TLS client sends: the connection must end
    };
    /// Reads and opens what the client has sent, so many records at most, lest one client hold up the others.
    /// A record that has not arrived whole stays in the socket.
    static constexpr int records_read_at_once = 16;
    [[nodiscard]] heard read(int socket, tls_workplace& place);

    /// Whether read() stopped at its bound: then call it again, since no event will tell of what is there.
    [[nodiscard]] bool more_to_read() const noexcept { return more_to_read_; }

    /// Plaintext of the response in the first `wire` bytes of `wire_sent`, which hold `plaintext_sent`. A
    /// little less than it is, if the kernel seals: only it knows where its records begin.
    [[nodiscard]] std::uint64_t plaintext_of(std::uint64_t wire, std::uint64_t wire_sent,
                                             std::uint64_t plaintext_sent) const noexcept;
    /// Bytes on the wire of what the kernel was given, which holds `plaintext_sent`; see
    /// kernel_tls::wire_bytes().
    [[nodiscard]] std::uint64_t wire_sent(int socket, std::uint64_t plaintext_sent) const noexcept {
        return kernel_ ? kernel_->wire_bytes(socket, plaintext_sent) : wire_sent_;
    }
    /// Records under one key at most, for tests: lower than the suite's own.
    void limit_records(std::uint64_t most) noexcept { record_limit_ = most; }
    [[nodiscard]] const tls_suite& suite() const noexcept { return write_.suite(); }
    /// For the transfer log: "TLSv1.3 TLS_AES_256_GCM_SHA384 user"; "kernel" where that seals.
    [[nodiscard]] std::string describe() const;

  private:
    enum class control : std::uint8_t { none, key_update, no_renegotiation, close_notify };
    void choose_control() noexcept;
    [[nodiscard]] bool data_is_half_sent() const noexcept { return partial_ != 0 && !partial_is_control_; }
    [[nodiscard]] heard take(record_cipher::opened record);
    [[nodiscard]] heard take_handshake(std::span<const std::uint8_t> message);

    traffic_key write_; ///< where the kernel seals: the next one, which it doesn't have yet
    traffic_key read_;
    std::optional<kernel_tls> kernel_; ///< seals instead of this channel
    std::uint64_t wire_sent_ = 0;
    std::uint64_t wire_control_ = 0; ///< of wire_sent_, bytes of control records
    std::uint64_t record_limit_;
    std::uint32_t partial_ = 0;           ///< bytes of the next record that the kernel has already
    std::uint16_t partial_plaintext_ = 0; ///< that record's plaintext, bytes
    std::uint16_t wire_closing_ = 0;      ///< of wire_control_, those of close_notify: the last ones
    control control_ = control::none;     ///< the control record that is being sent
    bool partial_is_control_ = false;
    bool more_to_read_ = false;
    bool update_wanted_ = false;
    bool refusal_wanted_ = false;
    bool close_wanted_ = false;
    bool closed_ = false; ///< close_notify is with the kernel, or on its way there: nothing follows it
    std::array<std::uint8_t, tag_size> partial_tag_{};
};

} // namespace dlhandoff::engine
