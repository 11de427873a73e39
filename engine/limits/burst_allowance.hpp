#pragma once

#include "engine/clock.hpp"
#include "engine/limits/keyed_hash.hpp"
#include "shared/offer.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>

namespace dlhandoff::engine {

/// The bytes that `DLHandoffRate RATE after SIZE` lets go at full speed first, counted by client and file, so
/// that a client that breaks off and asks for the next range does not get them again each time.
///
/// There is a token bucket for each client key and file. It holds `pace::after` bytes; everything that the
/// client is sent of the file is taken from it, paced or not, and it refills at `pace::rate`. So with
/// downloads one after another a client gets no more of a file than `after` bytes plus `rate` times the time
/// since the first. Simultaneous downloads share the bucket, but each has its own rate.
///
/// A bucket that is full again is forgotten, since a new one is full too. Of the buckets that no download
/// uses any more, the latest `most` are remembered; forgetting one favours its client.
///
/// One thread. It has no clock: the caller passes every time.
class burst_allowance {
  public:
    /// A bucket takes some 100 bytes.
    static constexpr std::size_t default_most = 4096;

    explicit burst_allowance(std::size_t most = default_most) : most_(most) {}
    burst_allowance(const burst_allowance&) = delete;
    burst_allowance& operator=(const burst_allowance&) = delete;

    /// A bucket, kept as what is missing in it.
    class account {
        friend class burst_allowance;
        void refill(std::uint64_t rate, clock::time_point now) noexcept;
        [[nodiscard]] bool is_full(clock::time_point now) noexcept;

        burst_allowance* owner_ = nullptr;
        std::uint64_t hash_ = 0;
        double used_ = 0; ///< bytes, at refilled_
        clock::time_point refilled_{};
        std::uint64_t rate_ = 0; ///< the rate at which they come back, bytes a second
        std::size_t users_ = 0;
        account* older_ = nullptr; ///< while it is unused
        account* newer_ = nullptr;
    };
    struct account_closer {
        void operator()(account* open) const noexcept;
    };
    /// A download's hold on its client's bucket; must be destroyed before the burst_allowance.
    using handle = std::unique_ptr<account, account_closer>;

    /// Throws std::bad_alloc; the first call also throws std::system_error if the system has no random bytes.
    [[nodiscard]] handle open(std::string_view client_key, std::uint64_t device, std::uint64_t inode,
                              clock::time_point now);

    /// Bytes that may go at full speed now.
    [[nodiscard]] static std::uint64_t left(account& of, const pace& speed, clock::time_point now) noexcept;
    static void spend(account& of, const pace& speed, std::uint64_t bytes, clock::time_point now) noexcept;

    /// Buckets that are in use or remembered.
    [[nodiscard]] std::size_t size() const noexcept { return accounts_.size(); }

  private:
    struct already_hashed {
        std::size_t operator()(std::uint64_t hash) const noexcept { return hash; }
    };
    void close(account& one) noexcept;
    void forget_oldest() noexcept;
    void take_from_unused(account& one) noexcept;

    std::size_t most_;
    std::size_t unused_ = 0;
    account* oldest_ = nullptr; ///< list of the unused ones, in the order in which they became unused
    account* latest_ = nullptr;
    hash_key key_{}; ///< random, set by the first open()
    std::unordered_map<std::uint64_t, account, already_hashed> accounts_;
};

} // namespace dlhandoff::engine
