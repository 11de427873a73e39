#pragma once

#include "engine/client/channel.hpp"
#include "engine/tls/tls_control.hpp"
#include "engine/tls/tls_input.hpp"
#include "engine/tls/tls_record.hpp"
#include "engine/tls/tls_workplace.hpp"
#include "engine/tls/traffic_key.hpp"
#include "shared/tls_session.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace dlhandoff::engine {

/// One TLS connection after its handshake, whose records are sealed in this process.
///
/// Nothing sealed is kept. When the socket takes half a record, the same record is sealed again later (same
/// key, number and bytes), and its second half is sent. Only the 16-byte tag of the half-sent record is kept,
/// and compared: so a nonce never protects two different texts, whatever happens to the file.
class sealed_channel final : public channel {
  public:
    /// Throws std::runtime_error if the suite is unknown or libcrypto fails.
    explicit sealed_channel(const tls_session& session);

    /// In secret_memory().
    static void* operator new(std::size_t size);
    static void operator delete(void* channel, std::size_t size) noexcept;

    /// Has the kernel seal instead, if it can be trusted with this suite.
    [[nodiscard]] pointer start(int socket) override;
    [[nodiscard]] std::uint64_t room(client_socket& socket) noexcept override;
    [[nodiscard]] std::uint64_t begun() const noexcept override { return half_sent(); }
    [[nodiscard]] std::uint64_t whole(std::uint64_t bytes) const noexcept override;
    [[nodiscard]] given give(int socket, std::span<const part> parts, channel_workplace& place) override;
    void finish() noexcept override { control_.want_close(); }
    [[nodiscard]] bool finished() const noexcept override { return all_sent(); }
    [[nodiscard]] heard hear(int socket, connection_end after, channel_workplace& place) override;
    [[nodiscard]] std::uint64_t wire_bytes(int /*socket*/,
                                           std::uint64_t /*position*/) const noexcept override {
        return wire_sent_;
    }
    [[nodiscard]] std::uint64_t delivered(int socket, std::uint64_t acknowledged,
                                          std::uint64_t position) const noexcept override;
    void forget_keys(channel_workplace& place) const noexcept override;
    [[nodiscard]] std::string description() const override;

    /// A batch in the making: sealed records of the data that comes next.
    class batch {
      public:
        batch(sealed_channel& channel, tls_workplace& place) noexcept : channel_(channel), place_(place) {}

        /// Begins the batch with a waiting control record, if there is one. Call it first.
        void add_control();
        /// Adds a data record, and returns the place for its `size` (1 to max_record_plaintext) bytes of
        /// plaintext, to be filled before seal(); empty if the batch is full. If half_sent() is not 0, the
        /// first record must be of that size.
        [[nodiscard]] std::span<std::uint8_t> plaintext(std::size_t size) noexcept;
        /// Takes the last plaintext() back, because there is nothing to put there.
        void withdraw() noexcept;
        /// Seals what was put there, and a waiting control record if this is its place. False: the plaintext
        /// of the half-sent record has changed since; the connection must end and nothing more may be sent.
        [[nodiscard]] bool seal();

        /// What the kernel is to be given now.
        [[nodiscard]] std::span<const std::uint8_t> unsent() const noexcept;
        /// Notes that the kernel took so many bytes of unsent(). Returns the plaintext bytes of the data
        /// records that are now completely sent.
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
        sealed_channel& channel_;
        tls_workplace& place_;
        std::array<record, tls_workplace::batch> records_{};
        std::size_t count_ = 0;
        std::size_t sealed_ = 0; ///< how many of them, from the first, are sealed
    };

    /// Reads what the client has sent.
    [[nodiscard]] tls_input::heard read(int socket, tls_workplace& place) {
        return input_.read(socket, place, control_);
    }
    /// Whether the kernel has everything that was begun.
    [[nodiscard]] bool all_sent() const noexcept { return !control_.waits() && partial_ == 0; }
    /// Plaintext bytes of the half-sent data record; the next record must have as many. 0: there is none.
    [[nodiscard]] std::size_t half_sent() const noexcept {
        return data_is_half_sent() ? partial_plaintext_ : 0;
    }
    [[nodiscard]] bool control_waits() const noexcept { return control_.waits(); }
    /// Records under one key at most, for tests: lower than the suite's own.
    void limit_records(std::uint64_t most) noexcept { control_.limit_records(most); }
    [[nodiscard]] const tls_suite& suite() const noexcept { return key_.suite(); }

  private:
    [[nodiscard]] bool data_is_half_sent() const noexcept { return partial_ != 0 && !partial_is_control_; }

    traffic_key key_;
    tls_input input_;
    tls_control control_;
    std::uint64_t wire_sent_ = 0;
    std::uint64_t wire_control_ = 0;      ///< of wire_sent_, bytes of control records
    std::uint32_t partial_ = 0;           ///< bytes of the next record that the kernel has already
    std::uint16_t partial_plaintext_ = 0; ///< that record's plaintext, bytes
    std::uint16_t wire_closing_ = 0;      ///< of wire_control_, the last ones: those of close_notify
    bool partial_is_control_ = false;
    std::array<std::uint8_t, tag_size> partial_tag_{};
};

} // namespace dlhandoff::engine
